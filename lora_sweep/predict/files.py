"""The files of a prediction, checked without torch: a wrong name is said at once."""

from pathlib import Path

from lora_sweep.data.streams import check_suffix
from lora_sweep.data.text_files import uncompressed
from lora_sweep.errors import CorpusError, StorageError


def check_source(path: Path) -> None:
    """Checks, before anything is loaded, that the input can be read.

    Raises:
        CorpusError: it is not there, or its suffix is none that rows are read from.
    """
    check_suffix(uncompressed(path))
    if not path.exists():
        raise CorpusError(f"--input must be a file that is there, but got {path}")


def check_target(path: Path) -> None:
    """Checks, before anything is loaded, that the output can be written.

    Raises:
        CorpusError: its suffix is none that rows are written to.
        StorageError: there is such a file already, or no folder for it.
    """
    check_suffix(path)
    if path.exists():
        raise StorageError(
            f"--output must be a new file, but got {path}: remove it, or name another"
        )
    if not path.parent.is_dir():
        raise StorageError(f"--output must lie in a folder that is there, but got {path}")
