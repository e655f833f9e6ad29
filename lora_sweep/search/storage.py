"""Where a study is kept: SQLite or a journal in the sweep's folder, or any database."""

import re
from pathlib import Path
from typing import Any

from optuna.storages import BaseStorage, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend
from sqlalchemy.pool import NullPool

from lora_sweep.error_lines import first_line
from lora_sweep.errors import SettingError
from lora_sweep.rules import expand_home

SQLITE_FILE = "study.db"
JOURNAL_FILE = "study.journal"
BUSY_SECONDS = 100
"""How long SQLite waits for another process's write."""
_HOME = re.compile(r"(?:^|(?<=^sqlite:///))~.*")
"""A file's path that starts at a home."""
_PASSWORD = re.compile(
    r"(://[^:@/]*:)[^@]*(@)|((?:password|passwd|pwd)=)[^&\s'\"]*", re.IGNORECASE
)


def storage_place(setting: str | None, sweep_dir: Path) -> str:
    """Returns where the study is: a database's URL, or the path of a journal.

    Args:
        setting: `hydra.sweeper.storage`.
        sweep_dir: the sweep's folder.

    Raises:
        SettingError: it is none of those.
    """
    if setting is None:
        return f"sqlite:///{sweep_dir / SQLITE_FILE}"
    if setting == "journal":
        return str(sweep_dir / JOURNAL_FILE)
    if "://" in setting or setting.endswith((".journal", ".log")):
        place = _HOME.sub(lambda path: str(expand_home("hydra.sweeper.storage", path[0])), setting)
        # SQLAlchemy's first choice of a driver changes with its version; ours comes as an extra.
        return re.sub(r"^postgres(ql)?://", "postgresql+psycopg://", place)
    raise SettingError(
        "hydra.sweeper.storage must be null, journal, a path that ends in .journal or .log, or a "
        f"database's URL, but got {setting}"
    )


def lies_in(place: str, folder: Path) -> bool:
    """Returns whether a storage is a file in a folder, which goes where the folder goes."""
    path = place.removeprefix("sqlite:///")
    return "://" not in path and Path(path).resolve().is_relative_to(folder.resolve())


def open_storage(place: str) -> BaseStorage:
    """Opens the storage, and makes it if it is not there.

    Raises:
        SettingError: it can't be reached.
    """
    try:
        if "://" not in place:
            Path(place).parent.mkdir(parents=True, exist_ok=True)
            return JournalStorage(JournalFileBackend(place))
        arguments: dict[str, Any] = {"poolclass": NullPool}
        if place.startswith("sqlite:///"):
            Path(place.removeprefix("sqlite:///")).parent.mkdir(parents=True, exist_ok=True)
            arguments["connect_args"] = {"timeout": BUSY_SECONDS}
        # A connection is closed once it was used: none stays open, and many searchers need few.
        return RDBStorage(place, engine_kwargs=arguments)
    except Exception as error:  # every database has its own, and so has every missing driver
        cause = without_password(first_line(error.__cause__ or error))
        raise SettingError(
            f"hydra.sweeper.storage must be reachable, but got {without_password(place)}: {cause}"
        ) from None


def without_password(text: str) -> str:
    """Returns a text with *** for the passwords in its URLs."""
    return _PASSWORD.sub(_masked, text)


def _masked(found: "re.Match[str]") -> str:
    before, after, key = found.groups()
    return f"{key}***" if key else f"{before}***{after}"
