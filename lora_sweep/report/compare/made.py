"""Which looks of a resolve were made: what has ended by then is never tried again.

A run that fails may be tried again until its look is made. Later it would change a verdict that
stands already.
"""

import json
from pathlib import Path

from filelock import FileLock

from lora_sweep.errors import DamagedFileError, RecordError
from lora_sweep.files import read_text, write_text, writing

MADE_FILE = "resolve_looks.json"


def read_made(folder: Path) -> int:
    """Returns the seeds of the last look that was made; 0 before the first.

    Args:
        folder: of the sweep.

    Raises:
        RecordError: the file can't be read.
    """
    path = folder / MADE_FILE
    if not path.exists():
        return 0
    try:
        n = json.loads(read_text(path))["seeds"]
    except (DamagedFileError, TypeError, ValueError, KeyError) as error:
        raise RecordError(f"{path} can't be read: {error}") from error
    if not isinstance(n, int) or isinstance(n, bool) or n < 0:
        raise RecordError(f"{path} must hold a number of seeds, but got {n!r}")
    return n


def write_made(folder: Path, n: int) -> None:
    """Notes a look; one at fewer seeds than the last changes nothing.

    Args:
        folder: of the sweep, which is there.
        n: seeds of the look.

    Raises:
        RecordError: the file that is there can't be read.
        StorageError: it can't be written.
    """
    path = folder / MADE_FILE
    with writing(path), FileLock(folder / f".{MADE_FILE}.lock"):
        if n > read_made(folder):
            write_text(path, json.dumps({"seeds": n}) + "\n")
