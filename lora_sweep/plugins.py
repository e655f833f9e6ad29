"""Makes Hydra know the schemas of the settings, and our sweepers and launcher."""

from lora_sweep.config import store
from lora_sweep.launch import grids, pack
from lora_sweep.search import sweeper


def register() -> None:
    """Registers all of them; a second time changes nothing."""
    store.register()
    grids.register()
    pack.register()
    sweeper.register()
