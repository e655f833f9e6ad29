"""Makes Hydra know the schemas of the settings, and our sweepers and launcher."""

from functools import cache

from lora_sweep.config import store
from lora_sweep.launch import grids, pack, resolve, run_folder
from lora_sweep.search import sweeper


@cache
def register() -> None:
    """Registers all of them; a second time changes nothing."""
    store.register()
    run_folder.register()
    grids.register()
    resolve.register()
    pack.register()
    sweeper.register()
