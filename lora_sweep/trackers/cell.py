"""The cell of a run: what trackers put the runs of all its seeds together by."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from lora_sweep.vocabulary import SPELLED


def cell_name(run: str, settings: Mapping[str, Any]) -> str:
    """Returns the run's name without its seed, and unique by a hash of the other settings.

    The hash in the run's own name is of the seed, too. As there, paths don't count, but what lies
    at them.

    Args:
        run: name of the run's folder.
        settings: of the run.
    """
    others = {name: one for name, one in settings.items() if name not in ("seed", *SPELLED)}
    digest = hashlib.sha256(json.dumps(others, sort_keys=True).encode()).hexdigest()[:10]
    return f"{run.rpartition('-seed')[0] or run}-{digest}"
