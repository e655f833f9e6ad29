"""What a search leaves: its trials and what became of them, `search.json` in the sweep's folder.

The runs themselves are ordinary runs of the sweep, in folders of their own; this file says which
of them a trial holds. It is plain data: a report needs no library of the search to read it.
"""

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from lora_sweep.errors import DamagedFileError, DamagedRecordError, RecordError
from lora_sweep.files import read_checked_json, to_checked_json, write_text
from lora_sweep.store.fields import check_fields
from lora_sweep.store.record import FORMAT_VERSION, check_version
from lora_sweep.vocabulary import FAILED, FINISHED, PRUNED

SEARCH_FILE = "search.json"
TRIALS = ".trials"
"""The folder of its trials' claims, within the sweep's."""
STATUSES = (FINISHED, FAILED, PRUNED, "running", "waiting")
DIRECTIONS = ("maximize", "minimize")
Direction = Literal["maximize", "minimize"]
Value = float | int | str


@dataclass(frozen=True)
class TrialRecord:
    """One suggestion of the search, and its runs: one a seed.

    Attributes:
        number: the trial's number in its study, from 0.
        status: one of `STATUSES`.
        params: dotted setting -> the value proposed.
        values: one an objective; None while there are none.
        folders: names of the run folders, in the order of `seeds`.
        seeds: of the runs; all trials of a search may have the same.
        metrics: reported metric of each seed's run, 0 to 1; None where there is none.
        pruned_epoch: the epoch after which it was ended; None unless pruned.
        error: why it failed, in one line; None unless failed.
    """

    number: int
    status: str
    params: dict[str, Value]
    values: tuple[float, ...] | None
    folders: tuple[str, ...]
    seeds: tuple[int, ...]
    metrics: tuple[float | None, ...]
    pruned_epoch: int | None = None
    error: str | None = None


@dataclass(frozen=True)
class Confirmation:
    """A trial's settings, run again with seeds that no trial had.

    Attributes:
        number: the trial's.
        seeds, folders, metrics: as in `TrialRecord`.
    """

    number: int
    seeds: tuple[int, ...]
    folders: tuple[str, ...]
    metrics: tuple[float | None, ...]


@dataclass(frozen=True)
class SearchRecord:
    """A search as it stands: written after every batch of trials, and at the end.

    Attributes:
        study_name: name of the study in its storage.
        storage: where that is, as shown to a user: without a password.
        sampler, pruner: names.
        objectives: what a trial's `values` are: the headline metric's name first, as the median
            over the seeds, 0 to 1; then, where there are two, `trained_params`.
        directions: one of `DIRECTIONS` an objective.
        n_trials: how many were asked for in all.
        trials: by number.
        importances: dotted setting -> share of the first objective's variance, which sum to 1;
            None where they can't be computed, as `importances_note` says.
        confirmed: the best trials on fresh seeds.
        is_over: whether all trials are there and the best ones were run again.
    """

    study_name: str
    storage: str
    sampler: str
    pruner: str
    objectives: tuple[str, ...]
    directions: tuple[str, ...]
    n_trials: int
    trials: tuple[TrialRecord, ...]
    importances: dict[str, float] | None = None
    importances_note: str | None = None
    confirmed: tuple[Confirmation, ...] = ()
    is_over: bool = False

    def __post_init__(self) -> None:
        """Checks that the parts belong together.

        Raises:
            ValueError: they don't; the message names the part, the rule and what it is.
            TypeError: a field is of another type.
        """
        for checked in (self, *self.trials, *self.confirmed):
            check_fields(checked)
        _require_one_each("directions", self.directions, self.objectives)
        for direction in self.directions:
            _require_one_of("directions", direction, DIRECTIONS)
        for trial in self.trials:
            name = f"trial {trial.number}"
            _require_one_of(f"{name}'s status", trial.status, STATUSES)
            if trial.values is not None:
                _require_one_each(f"{name}'s values", trial.values, self.objectives)
        held: tuple[TrialRecord | Confirmation, ...] = (*self.trials, *self.confirmed)
        for part in held:
            for field in ("folders", "metrics"):
                _require_one_each(
                    f"trial {part.number}'s {field}", getattr(part, field), part.seeds
                )
        numbers = [trial.number for trial in self.trials]
        if len(set(numbers)) < len(numbers):
            raise ValueError(f"trials must have numbers of their own, but got {numbers}")
        for again in self.confirmed:
            if again.number not in numbers:
                raise ValueError(f"confirmed must be trials of the search, but got {again.number}")


def write_search(sweep_dir: Path, record: SearchRecord) -> None:
    """Writes a search into its sweep's folder; what was there is replaced.

    Raises:
        StorageError: it can't be written.
    """
    fields = {"format_version": FORMAT_VERSION, **dataclasses.asdict(record)}
    write_text(sweep_dir / SEARCH_FILE, to_checked_json(fields, indent=1))


def read_search(sweep_dir: Path) -> SearchRecord | None:
    """Returns the search in a sweep's folder; None where the sweep was no search.

    Raises:
        RecordError: the file can't be read, is no such record, or is of another version.
    """
    path = sweep_dir / SEARCH_FILE
    if not path.exists():
        return None
    try:
        fields = read_checked_json(path)
    except OSError as error:
        raise RecordError(f"{path} can't be read: {error}") from error
    except DamagedFileError as error:
        raise DamagedRecordError(str(error)) from error
    check_version(path, fields)
    try:
        trials = tuple(TrialRecord(**_frozen(entry)) for entry in fields.pop("trials"))
        again = tuple(Confirmation(**_frozen(entry)) for entry in fields.pop("confirmed"))
        return SearchRecord(trials=trials, confirmed=again, **_frozen(fields))
    except (TypeError, KeyError, ValueError, AttributeError) as error:
        raise DamagedRecordError(f"{path} is no record of a search: {error}") from error


def _frozen(fields: dict[str, Any]) -> dict[str, Any]:
    """The fields with tuples for JSON's lists."""
    return {
        name: tuple(value) if isinstance(value, list) else value for name, value in fields.items()
    }


def _require_one_each(name: str, got: tuple[Any, ...], of: tuple[Any, ...]) -> None:
    if len(got) != len(of):
        raise ValueError(f"{name} must be {len(of)}, but got {len(got)}")


def _require_one_of(name: str, got: str, allowed: tuple[str, ...]) -> None:
    if got not in allowed:
        raise ValueError(f"{name} must be one of {', '.join(allowed)}, but got {got}")
