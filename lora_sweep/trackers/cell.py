"""The cell of a run: what trackers put the runs of all its seeds together by."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any


def cell_name(run: str, settings: Mapping[str, Any]) -> str:
    """Returns the run's name without its seed, and unique by a hash of the other settings.

    The hash in the run's own name is of the seed, too.

    Args:
        run: name of the run's folder.
        settings: of the run.
    """
    others = {name: value for name, value in settings.items() if name != "seed"}
    digest = hashlib.sha256(json.dumps(others, sort_keys=True).encode()).hexdigest()[:10]
    return f"{run.rpartition('-seed')[0] or run}-{digest}"
