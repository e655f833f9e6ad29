"""Which looks of a resolve were made, and whether one is left: `resolve_looks.json`.

A run that fails may be tried again until its look is made: what has ended by then is never tried
again. Later it would change a verdict that stands already.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from filelock import FileLock

from lora_sweep.errors import DamagedFileError, RecordError
from lora_sweep.files import read_text, write_text, writing
from lora_sweep.store.fields import check_fields

MADE_FILE = "resolve_looks.json"


@dataclass(frozen=True)
class Made:
    """The looks of a resolve so far.

    Attributes:
        seeds: of the last look that was made; 0 before the first.
        is_over: whether none is left: every comparison is resolved, the last planned look is made,
            or one looks at any time and has come to as many seeds as were asked for.
    """

    seeds: int = 0
    is_over: bool = False

    def __post_init__(self) -> None:
        """Checks the fields.

        Raises:
            TypeError: one is of another type.
            ValueError: the seeds are below 0.
        """
        check_fields(self)
        if self.seeds < 0:
            raise ValueError(f"seeds must be at least 0, but got {self.seeds}")


def read_made(folder: Path) -> Made:
    """Returns the looks that were made.

    Args:
        folder: of the sweep.

    Raises:
        RecordError: the file can't be read.
    """
    path = folder / MADE_FILE
    if not path.exists():
        return Made()
    try:
        return Made(**json.loads(read_text(path)))
    except (DamagedFileError, TypeError, ValueError) as error:
        raise RecordError(f"{path} can't be read: {error}") from error


def write_made(folder: Path, n: int, *, is_over: bool = False) -> None:
    """Notes a look; one at fewer seeds than the last changes nothing.

    Args:
        folder: of the sweep, which is there.
        n: seeds of the look; those of the last one where no look is new but `is_over`.
        is_over: see `Made`.

    Raises:
        RecordError: the file that is there can't be read.
        StorageError: it can't be written.
    """
    path = folder / MADE_FILE
    with writing(path), FileLock(folder / f".{MADE_FILE}.lock"):
        if n >= read_made(folder).seeds:
            write_text(path, json.dumps(asdict(Made(n, is_over))) + "\n")
