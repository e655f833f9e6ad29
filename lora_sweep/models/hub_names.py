"""What a base is called on the hub, for readers elsewhere: its name and revision."""

from pathlib import Path
from typing import NamedTuple

from lora_sweep.models.base import EMBEDDED
from lora_sweep.models.snapshots import snapshot_of


class HubModel(NamedTuple):
    """A model of the hub.

    Attributes:
        name: `OWNER/NAME`.
        revision: commit; None where it is not known.
    """

    name: str
    revision: str | None


# The commit whose model.safetensors has the SHA-256 that `models.base` knows.
_EMBEDDED_MODEL = HubModel(
    "sentence-transformers/all-MiniLM-L6-v2", "1110a243fdf4706b3f48f1d95db1a4f5529b4d41"
)


def hub_model(name: str, path: str | None, folder: Path) -> HubModel | None:
    """Returns what a run's base is called on the hub; None for a folder that is of no hub model.

    Args:
        name: `model.name` of the run.
        path: its `model.path`, which goes before the name.
        folder: where the base lies; a snapshot in the hub's cache says name and revision.
    """
    cached = snapshot_of(folder)
    if cached is not None and (path is not None or cached[0] == name):
        return HubModel(*cached)
    if path is not None:
        return None
    return _EMBEDDED_MODEL if name == EMBEDDED else HubModel(name, None)
