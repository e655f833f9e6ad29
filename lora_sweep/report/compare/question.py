"""What a report is asked: to be named before the runs are seen, in the sweep's config."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from lora_sweep.errors import DamagedFileError, RecordError
from lora_sweep.files import read_text, write_text
from lora_sweep.rules import is_rate, require

QUESTION_FILE = "question.json"
TUNED, MEAN = "tuned", "mean"
SETTINGS = (TUNED, MEAN)
_AT_LEAST_0 = "at least 0 and finite"


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


@dataclass(frozen=True)
class Question:
    """What is asked of each init with several settings, and which differences count.

    Attributes:
        settings: `tuned`: is the init better once its settings are tuned; `mean`: is it better
            over all of them.
        equivalence_points: region of practical equivalence: differences of up to so many points
            are as good as none.
        difference_points: the difference that one would like to find; seeds are counted for it.

    Raises:
        SettingError: one breaks its rule.
    """

    settings: str = TUNED
    equivalence_points: float = 0.5
    difference_points: float = 2.0

    def __post_init__(self) -> None:
        """Checks the rules."""
        region, difference = self.equivalence_points, self.difference_points
        require(self.settings in SETTINGS, "question", "tuned or mean", self.settings)
        require(_is_number(region) and is_rate(region), "equivalence_points", _AT_LEAST_0, region)
        require(
            _is_number(difference) and is_rate(difference) and difference > region,
            "difference_points",
            f"finite and more than equivalence_points ({region:g})",
            difference,
        )


STANDARD_QUESTION = Question()


def write_question(folder: Path, question: Question) -> None:
    """Keeps what a sweep is run for, so that a later report asks the same.

    Args:
        folder: of the sweep.
        question: as its config has it.
    """
    write_text(folder / QUESTION_FILE, json.dumps(asdict(question), indent=2) + "\n")


def read_question(folder: Path) -> Question:
    """Returns what a sweep was run for; the standard question where nothing says it.

    Args:
        folder: of the sweep.

    Raises:
        RecordError: the file holds no question.
    """
    path = folder / QUESTION_FILE
    if not path.exists():
        return STANDARD_QUESTION
    try:
        return Question(**json.loads(read_text(path)))
    except (DamagedFileError, TypeError, ValueError) as error:
        raise RecordError(f"{path} can't be read: {error}") from error
