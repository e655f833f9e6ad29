"""What a resolve is to find out: written before its first look, and never changed."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock

from lora_sweep.errors import DamagedFileError, RecordError, SettingError
from lora_sweep.files import read_text, write_text, writing
from lora_sweep.report.compare.question import Question
from lora_sweep.rules import require

PLAN_FILE = "resolve.json"
LOOKS = (5, 8, 12, 16, 20, 25, 30)


@dataclass(frozen=True)
class Plan:
    """What is compared, and when it is looked at.

    Attributes:
        question: what is asked of each init, and which differences count.
        pairs: init and baseline of each comparison.
        first_seed: seeds are this one and those that follow.
        looks: seeds at each look, ascending.
        any_time: whether one looks after every seed from the first look on, without end.
    """

    question: Question
    pairs: list[tuple[str, str]]
    first_seed: int = 0
    looks: tuple[int, ...] = LOOKS
    any_time: bool = False

    def __post_init__(self) -> None:
        """Checks the rules."""
        looks = self.looks
        are_counts = all(isinstance(n, int) and not isinstance(n, bool) for n in looks)
        is_right = bool(looks) and are_counts and looks[0] >= 3 and list(looks) == sorted({*looks})
        require(is_right, "looks", "ascending numbers of seeds, 3 or more", list(looks))
        require(isinstance(self.any_time, bool), "any_time", "true or false", self.any_time)

    @property
    def n_most(self) -> int:
        """Seeds at the last look."""
        return self.looks[-1]

    def seeds(self, n: int) -> range:
        """Returns the seeds that a look at n of them takes."""
        return range(self.first_seed, self.first_seed + n)


def write_plan(folder: Path, plan: Plan) -> Plan:
    """Keeps the plan of a sweep, and returns it; one that is there already must be the same.

    Args:
        folder: of the sweep.
        plan: as asked for now.

    Raises:
        SettingError: another plan was made before.
        RecordError: the one that is there can't be read.
        StorageError: it can't be written.
    """
    with writing(folder / PLAN_FILE):
        folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / f".{PLAN_FILE}.lock"):
        known = read_plan(folder)
        if known is None:
            write_text(folder / PLAN_FILE, json.dumps(asdict(plan), indent=2) + "\n")
            return plan
    for name, value in asdict(plan).items():
        before = asdict(known)[name]
        if value != before:
            raise SettingError(
                f"{name} must be as planned before the first look ({_short(before)}; "
                f"{folder / PLAN_FILE}), but got {_short(value)}"
            )
    return known


def read_plan(folder: Path) -> Plan | None:
    """Returns the plan of a sweep; None where there is none.

    Args:
        folder: of the sweep.

    Raises:
        RecordError: it can't be read.
    """
    path = folder / PLAN_FILE
    if not path.exists():
        return None
    try:
        content = json.loads(read_text(path))
        return Plan(
            question=Question(**content.pop("question")),
            pairs=[(init, baseline) for init, baseline in content.pop("pairs")],
            looks=tuple(content.pop("looks")),
            **content,
        )
    except (DamagedFileError, TypeError, ValueError, KeyError) as error:
        raise RecordError(f"{path} can't be read: {error}") from error


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
