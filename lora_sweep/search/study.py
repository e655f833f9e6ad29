"""The study of a sweep's folder: found again under its own name, and of one and the same search.

The study's name stands in the folder's `search.json`, so a folder that was renamed or copied goes
on with its study, wherever that is stored. The study knows in turn which folder it is of, and what
all of its trials have in common.
"""

import dataclasses
import logging
import os
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
from optuna import Study
from optuna.storages import BaseStorage

from lora_sweep.errors import SettingError
from lora_sweep.files import read_text, write_text
from lora_sweep.rules import require
from lora_sweep.search.settings import SearchSettings
from lora_sweep.search.storage import lies_in, open_storage, without_password
from lora_sweep.search.trials import one_at_a_time
from lora_sweep.store.search_record import SEARCH_FILE, TRIALS, SearchRecord, read_search

log = logging.getLogger(__name__)

IDENTITY, FOLDER, COMMON = "sweep", "folder", "common"
"""What a study keeps of its sweep: the folder's identity and path, and its `Common`."""


@dataclass(frozen=True)
class Common:
    """What all trials of a study must have in common, to be compared and to be of one space.

    Attributes:
        searched: setting -> its range or choices, in words.
        fixed: setting -> its value.
    """

    searched: dict[str, str]
    fixed: dict[str, Any]

    def differences(self, now: "Common") -> Iterator[tuple[str, Any, Any]]:
        """Yields name, what it was here and what it is now, of what differs; searched ones first.

        Args:
            now: of a later command.
        """
        for name in (*self.searched, *now.searched, *self.fixed, *now.fixed):
            if self._told(name) != now._told(name):
                yield name, self._told(name), now._told(name)

    def _told(self, name: str) -> Any:
        """What is searched, or the value; of a group of settings, the name of its option."""
        if name in self.searched:
            return self.searched[name]
        return self.fixed.get(name, self.fixed.get(f"{name}.name", "nothing"))


def open_study(settings: SearchSettings, sweep_dir: Path, place: str) -> tuple[Study, BaseStorage]:
    """Returns the study of a sweep's folder, and its storage; a new study for a new search.

    Args:
        settings: of the sweeper.
        sweep_dir: the sweep's folder.
        place: of the storage.

    Raises:
        SettingError: the storage is not reachable or lacks the folder's study, the study is
            another folder's, or another name is given than it has.
        RecordError: `search.json` can't be read.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)  # what happens is said in our own log
    with one_at_a_time(sweep_dir):
        record = read_search(sweep_dir)
        name = _study_name(settings.study_name, record, sweep_dir)
        storage = open_storage(place)
        if record is not None:
            _check_stored(storage, place, record, sweep_dir)
        study = optuna.create_study(
            storage=storage,
            study_name=name,
            directions=settings.directions,
            load_if_exists=True,
        )
        _check_folder(study, sweep_dir, place)
    return study, storage


def check_common(study: Study, sweep_dir: Path, common: Common) -> None:
    """Checks that a command searches what the study's trials do; a new study takes it over.

    Args:
        study: as `open_study` gives it.
        sweep_dir: the sweep's folder.
        common: of the command.

    Raises:
        SettingError: a setting is searched in other values, or has another one, or is searched
            in one of both alone.
    """
    with one_at_a_time(sweep_dir):
        if COMMON not in study.user_attrs:
            study.set_user_attr(COMMON, dataclasses.asdict(common))
        for name, before, now in Common(**study.user_attrs[COMMON]).differences(common):
            raise SettingError(
                f"{name} must be the same in all trials of the study {study.study_name} "
                f"({before}), but got {now}: choose another paths.sweep=NAME"
            )


def _study_name(given: str | None, record: SearchRecord | None, sweep_dir: Path) -> str:
    """The name that the folder's study has had from the start, whatever the folder is called."""
    if record is None:
        return given or sweep_dir.name
    rule = (
        f"{record.study_name}, as {sweep_dir / SEARCH_FILE} says (another study needs another "
        "paths.sweep=NAME)"
    )
    require(given in (None, record.study_name), "hydra.sweeper.study_name", rule, given)
    return record.study_name


def _check_stored(storage: BaseStorage, place: str, record: SearchRecord, sweep_dir: Path) -> None:
    """Refuses a storage without the folder's study: all trials would begin anew."""
    stored = optuna.study.get_all_study_names(storage)
    if record.study_name not in stored:
        raise SettingError(
            f"hydra.sweeper.storage must hold the study {record.study_name} of "
            f"{sweep_dir / SEARCH_FILE}, which was in {record.storage}, but got "
            f"{without_password(place)} without it: give its storage, or choose another "
            "paths.sweep=NAME for a new search"
        )


def _check_folder(study: Study, sweep_dir: Path, place: str) -> None:
    """Checks that the study is this folder's, and notes where the folder lies now.

    A copy has the original's identity. It may go on by itself if its storage was copied with it;
    one study in one storage would be searched from two folders, which know nothing of each other.
    """
    known, here, identity = study.user_attrs, sweep_dir.resolve(), _identity(sweep_dir)
    before = Path(known.get(FOLDER, here))
    if known.get(IDENTITY, identity) != identity:
        raise SettingError(
            f"hydra.sweeper.study_name must be a new study or the one of {sweep_dir}, but got "
            f"{study.study_name}, which is of {before}: choose another"
        )
    if before != here:
        if not lies_in(place, sweep_dir) and _is_another(before, sweep_dir):
            raise SettingError(
                f"hydra.sweeper.storage must be another for the copy of a search, but got "
                f"{without_password(place)}, whose study {study.study_name} is of {before}: go on "
                "there, or choose another paths.sweep=NAME for a new search"
            )
        log.info("the search of %s goes on in %s", before, here)
    for name, value in ((IDENTITY, identity), (FOLDER, str(here))):
        if known.get(name) != value:
            study.set_user_attr(name, value)


def _identity(sweep_dir: Path) -> str:
    """What tells this sweep's folder from all others, but for its copies."""
    path = _identity_file(sweep_dir)
    if not path.exists():
        write_text(path, secrets.token_hex(8))
    return read_text(path)


def _is_another(before: Path, sweep_dir: Path) -> bool:
    """Whether a search's former folder is still there, beside this one of the same identity.

    A file system that is mounted in two places shows one folder under two paths.
    """
    old, own = _identity_file(before), _identity_file(sweep_dir)
    if not os.path.exists(old) or os.path.samefile(old, own):
        return False
    return read_text(old) == read_text(own)


def _identity_file(sweep_dir: Path) -> Path:
    return sweep_dir / TRIALS / "identity"
