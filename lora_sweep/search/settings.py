"""What stands under `hydra.sweeper` for a search, and its rules."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from lora_sweep.rules import MOST_JOBS, MOST_RUNS_A_CELL, require, require_count
from lora_sweep.store.search_record import DIRECTIONS


@dataclass
class ConfirmSettings:
    """The second look at the best trials, on seeds that none of them was chosen by.

    Attributes:
        n_best: trials that are looked at again; 0 for none.
        n_seeds: fresh seeds of each.
    """

    n_best: int = 3
    n_seeds: int = 5

    def __post_init__(self) -> None:
        _require_count("confirm.n_best", self.n_best, 0)
        _require_count("confirm.n_seeds", self.n_seeds, 1, MOST_RUNS_A_CELL)


@dataclass
class SearchSettings:
    """Keys of hydra-optuna-sweeper, and two of its own: `max_failures` and `confirm`.

    Attributes:
        sampler: an option of the group `hydra/sweeper/sampler`.
        direction: of the metric; or two, the second one for the trained parameters.
        storage: None for SQLite in the sweep's folder, `journal` for a journal file there, a path
            that ends in .journal or .log, or the URL of a database.
        study_name: None for the sweep's name.
        n_trials: in all, whoever ran them and when.
        n_jobs: trials under way at once: one batch, unless an executor's workers train.
        max_failures: failed trials of the whole search that are put up with.
        params: setting -> range or choices, as on the command line.
        confirm: the second look at the best trials.
    """

    sampler: Any
    direction: Any
    storage: str | None
    study_name: str | None
    n_trials: int
    n_jobs: int
    max_failures: int
    params: dict[str, Any] | None
    confirm: Any = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not isinstance(self.confirm, ConfirmSettings):
            self.confirm = ConfirmSettings(**dict(self.confirm))
        _require_count("n_trials", self.n_trials, 1)
        _require_count("n_jobs", self.n_jobs, 1)
        _require_count("max_failures", self.max_failures, 0)
        rule = "one or two of maximize, minimize"
        is_known = 1 <= len(self.directions) <= 2 and all(
            one in DIRECTIONS for one in self.directions
        )
        require(is_known, "hydra.sweeper.direction", rule, self.direction)
        is_place = self.storage is None or (isinstance(self.storage, str) and self.storage != "")
        rule = "null, journal, a path that ends in .journal or .log, or a database's URL"
        require(is_place, "hydra.sweeper.storage", rule, self.storage)

    @property
    def directions(self) -> list[Any]:
        """Of the objectives, in order."""
        is_one = isinstance(self.direction, str | Enum) or not isinstance(self.direction, Sequence)
        given = [self.direction] if is_one else list(self.direction)
        return [one.name if isinstance(one, Enum) else one for one in given]


def _require_count(name: str, value: Any, least: int, most: int = MOST_JOBS) -> None:
    is_count = isinstance(value, int) and not isinstance(value, bool) and value >= least
    require(is_count, f"hydra.sweeper.{name}", f"an integer of at least {least}", value)
    require_count(f"hydra.sweeper.{name}", value, least, most)
