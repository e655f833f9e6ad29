"""A log file for each run, whichever job, pack or process trains it."""

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from pathlib import Path
from typing import Any

from lora_sweep.files import writing
from lora_sweep.store.run_folder import LOG_FILE

_FORMAT = "[%(asctime)s][%(name)s][%(levelname)s] - %(message)s"

log = logging.getLogger(__name__)

_SPEAKING: ContextVar[Path | None] = ContextVar("speaking", default=None)
"""The folder of the run that the next lines are of; None for those of all runs of a pack."""


@contextmanager
def log_to(folder: Path) -> Iterator[None]:
    """Copies log lines to the run's log file, but not those of another run of its pack.

    An exception leaves its traceback there too, and who stops it what became of the run.

    Args:
        folder: of the run, which is ready.
    """
    with writing(folder / LOG_FILE):
        handler = _RunLog(folder / LOG_FILE, encoding="utf-8")
    handler.setFormatter(logging.Formatter(_FORMAT))
    handler.addFilter(lambda record: _SPEAKING.get() in (None, folder))
    root = logging.getLogger()
    root.addHandler(handler)
    try:
        yield
    except KeyboardInterrupt as stop:
        handler.handle(_record(logging.INFO, str(stop) or "interrupted"))
        raise
    except Exception as error:
        trace = (type(error), error, error.__traceback__)
        handler.handle(_record(logging.ERROR, "the run failed", trace))
        raise
    finally:
        root.removeHandler(handler)
        with suppress(OSError):  # a full disk has been told of by the line that did not fit
            handler.close()


@contextmanager
def lines_of(folder: Path) -> Iterator[None]:
    """Says that the log lines within are of one run."""
    token = _SPEAKING.set(folder)
    try:
        yield
    finally:
        _SPEAKING.reset(token)


def log_failure(folder: Path, error: Exception) -> None:
    """Writes an error's traceback to the run's log file, and nowhere else."""
    with suppress(type(error)), log_to(folder):
        raise error


class _RunLog(logging.FileHandler):
    """A log file whose failing writes end the training, like those of any other file."""

    def handleError(self, record: logging.LogRecord) -> None:
        """Called by logging while it handles an error."""
        error = sys.exc_info()[1]
        if not isinstance(error, OSError):
            super().handleError(record)
            return
        with writing(Path(self.baseFilename)):
            raise error


def _record(level: int, said: str, trace: Any = None) -> logging.LogRecord:
    """A log record for the file alone; `trace` is what `sys.exc_info` returns."""
    return log.makeRecord(log.name, level, __file__, 0, said, (), trace)
