"""A log file for each run, whichever job or process trains it."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

LOG_FILE = "run.log"
_FORMAT = "[%(asctime)s][%(name)s][%(levelname)s] - %(message)s"

log = logging.getLogger(__name__)


@contextmanager
def log_to(folder: Path) -> Iterator[None]:
    """Copies all log lines to the run's log file; an exception leaves its traceback there too."""
    folder.mkdir(parents=True, exist_ok=True)
    handler = logging.FileHandler(folder / LOG_FILE, encoding="utf-8")
    handler.setFormatter(logging.Formatter(_FORMAT))
    root = logging.getLogger()
    root.addHandler(handler)
    try:
        yield
    except Exception as error:
        handler.handle(_as_record(error))
        raise
    finally:
        root.removeHandler(handler)
        handler.close()


def _as_record(error: Exception) -> logging.LogRecord:
    """A log record that carries a traceback, for the file alone."""
    trace = (type(error), error, error.__traceback__)
    return log.makeRecord(log.name, logging.ERROR, __file__, 0, "the run failed", (), trace)
