"""Files that appear whole or not at all, and JSON and damage that are found out."""

import hashlib
import json
import logging
import os
import shutil
import stat
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from io import BufferedReader
from pathlib import Path
from typing import Any

from lora_sweep.errors import DamagedFileError, StorageError

log = logging.getLogger(__name__)

UNFINISHED = ".writing-"
"""How the folder of a file that is being written starts; a killed process leaves one behind."""


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turns what the system says of a write that fails into what a user can do.

    Raises:
        StorageError: the file can't be written.
    """
    try:
        yield
    except OSError as error:
        raise StorageError(
            f"{path} can't be written: {error.strerror or error}; what was written before is "
            "whole, and the same command goes on once there is room and permission"
        ) from error


def write_whole(path: Path, write: Callable[[Path], object]) -> None:
    """Writes a file so that it appears whole or not at all, also if the machine goes down.

    Args:
        path: where it appears; an older file there is replaced, a link is not followed.
        write: is given a temporary path in the same folder, and writes the content there.

    Raises:
        StorageError: it can't be written.
    """
    with (
        writing(path),
        tempfile.TemporaryDirectory(dir=path.parent, prefix=UNFINISHED) as folder,
    ):
        temporary = Path(folder) / path.name
        write(temporary)
        with temporary.open("rb") as stream:
            os.fsync(stream.fileno())
        os.replace(temporary, path)


def write_text(path: Path, text: str) -> None:
    """Writes a text file, UTF-8, as `write_whole` does."""
    write_whole(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))


def check_new_folder(name: str, folder: Path) -> None:
    """Checks that a folder can be written without touching what somebody else has there.

    Args:
        name: the setting that says the folder.
        folder: to be written.

    Raises:
        StorageError: there is a file, or a folder that holds something.
    """
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        raise StorageError(f"{name} must be a folder, but got {folder}, which is something else")
    if folder.is_dir() and any(folder.iterdir()):
        raise StorageError(
            f"{name} must be a new or an empty folder, but got {folder}, which holds "
            f"{next(folder.iterdir()).name}: choose another, or remove it"
        )


@contextmanager
def new_folder(name: str, folder: Path) -> Iterator[Path]:
    """Yields a folder to fill, which then appears at its place: whole, or not at all.

    Args:
        name: the setting that says the folder.
        folder: where it appears; must not be there, or be empty. Its parents are made.

    Raises:
        StorageError: as in `check_new_folder`, or it can't be written.
    """
    check_new_folder(name, folder)
    with writing(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=UNFINISHED) as unfinished:
            inside = Path(unfinished) / folder.name
            inside.mkdir()
            yield inside
            inside.replace(folder)  # an empty folder there is replaced


def clear_unfinished(folder: Path, *, older_than: float = 0.0) -> None:
    """Removes what killed processes were writing in a folder.

    Args:
        folder: need not be there.
        older_than: seconds; what is younger may still be written by another process.
    """
    for left in folder.glob(f"{UNFINISHED}*"):
        with suppress(FileNotFoundError):  # what another process has finished in the meantime
            if time.time() - left.stat().st_mtime >= older_than:
                remove(left)


def to_checked_json(fields: dict[str, Any], indent: int | None = None) -> str:
    """Returns the fields as JSON text, with a checksum of all that stands before it at the end."""
    text = json.dumps(fields, indent=indent, allow_nan=True)[:-1].rstrip()
    return f'{text}, "sha256": "{hashlib.sha256(text.encode()).hexdigest()}"}}'


def opened(path: Path) -> BufferedReader:
    """Returns a file that is open for reading, its bytes as they are.

    Raises:
        OSError: it is not there, or can't be opened.
        DamagedFileError: what is there is no file. To read a pipe or a device would never end.
    """
    mode = path.stat().st_mode
    if not stat.S_ISREG(mode):
        kind = "a folder" if stat.S_ISDIR(mode) else "a pipe, a device or the like"
        raise DamagedFileError(f"{path} must be a file, but got {kind}")
    return path.open("rb")


def read_text(path: Path) -> str:
    """Returns the content of a text file, UTF-8.

    Raises:
        OSError: as in `opened`.
        DamagedFileError: as in `opened`, or it is no UTF-8.
    """
    with opened(path) as stream:
        content = stream.read()
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise DamagedFileError(f"{path} can't be read: {error}") from error


def digest_of(path: Path) -> str:
    """Returns the SHA-256 of a file's content.

    Raises:
        OSError, DamagedFileError: as in `opened`.
    """
    with opened(path) as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def remove(path: Path) -> None:
    """Removes what lies at a path, whatever it is; nothing need be there.

    Another process may remove it at the same time.
    """
    if path.is_dir() and not path.is_symlink():
        while path.exists():
            with suppress(FileNotFoundError):  # the other was faster: with the rest
                shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def read_checked_json(path: Path) -> dict[str, Any]:
    """Returns the fields that `to_checked_json` was given.

    Raises:
        OSError: the file can't be opened.
        DamagedFileError: it is no JSON object with a checksum, or not what that is of.
    """
    with opened(path) as stream:
        content = stream.read()
    try:
        text = content.decode("utf-8")
        fields = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DamagedFileError(f"{path} can't be read: {error}") from error
    if not isinstance(fields, dict):
        raise DamagedFileError(f"{path} must hold a JSON object, but got {type(fields).__name__}")
    checksum = fields.pop("sha256", None)
    if checksum is None:
        raise DamagedFileError(f"{path} must have a checksum, but got none")
    if not _is_checksum(checksum, text):
        raise DamagedFileError(f"{path} must be as it was written, but got other bytes")
    return fields


def set_aside(path: Path, reason: object, consequence: str) -> None:
    """Renames a damaged file to `NAME.damaged`, and warns.

    Args:
        path: of the file.
        reason: what is wrong with it, as a sentence that names it.
        consequence: what follows from that, as a clause.
    """
    aside = path.with_name(f"{path.name}.damaged")
    with writing(aside):
        remove(aside)
        os.replace(path, aside)
    log.warning("%s; it is set aside as %s, %s", reason, aside.name, consequence)


def _is_checksum(checksum: object, text: str) -> bool:
    body, _, _ = text.rpartition(', "sha256": ')
    return checksum == hashlib.sha256(body.encode()).hexdigest()
