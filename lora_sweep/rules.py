"""How a setting's rule is stated: the setting, the rule, and the value that broke it."""

import math
import os.path
from pathlib import Path
from typing import Any

from lora_sweep.errors import SettingError

MOST_SEED = 2**63 - 1
"""The largest integer of a table."""
MOST_NUMPY_SEED = 2**32 - 1
"""The largest that numpy's `RandomState` takes, which scikit-learn draws by too."""
MOST_RUNS_A_CELL = 10_000
MOST_JOBS = 100_000
"""Of one command; to compose so many takes hours."""
MOST_EPOCHS = 100_000
MOST_STEPS = 5_000_000
"""Of one training, whose schedules are tabled for every step."""
MOST_TEXTS = 1_000_000
"""In a batch, or a corpus that is generated."""


def require(holds: bool, name: str, rule: str, value: Any) -> None:
    """Raises unless the rule holds.

    Args:
        holds: whether it does.
        name: the setting as on the command line.
        rule: completes "NAME must be ...".
        value: what was given.

    Raises:
        SettingError: it does not.
    """
    if not holds:
        raise SettingError(f"{name} must be {rule}, but got {value}")


def require_count(name: str, value: int, least: int, most: int) -> None:
    """Raises unless a count lies within its limits.

    Args:
        name: the setting as on the command line.
        value: what was given.
        least: that is allowed.
        most: that is allowed.

    Raises:
        SettingError: it does not.
    """
    rule = f"at least {least}" if value < least else f"at most {most}"
    require(least <= value <= most, name, rule, value)


def expand_home(name: str, path: str | Path) -> Path:
    """Returns a path with the user's home for a `~` at its start.

    Args:
        name: the setting that says the path.
        path: as given.

    Raises:
        SettingError: it starts with `~`, and that home is not known.
    """
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        rule = "a path without ~ where the user has no home folder"
        raise SettingError(f"{name} must be {rule}, but got {path}") from error


def absolute(name: str, path: str | Path) -> str:
    """Returns a path that is right from any folder; links in it stay.

    Args:
        name: the setting that says the path.
        path: as given.

    Raises:
        SettingError: as in `expand_home`.
    """
    return os.path.abspath(expand_home(name, path))


def is_positive(value: float) -> bool:
    """Returns whether a number is above 0 and finite."""
    return math.isfinite(value) and value > 0


def is_rate(value: float) -> bool:
    """Returns whether a number is at least 0 and finite."""
    return math.isfinite(value) and value >= 0
