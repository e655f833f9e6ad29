"""Files -> bytes, text and numbered lines, compressed by gzip or not; what is wrong, in words."""

import gzip
import zlib
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from lora_sweep.errors import CorpusError

GZIP = ".gz"


def uncompressed(path: Path) -> Path:
    """Returns the path without the `.gz` that a compressed file has behind its suffix."""
    return path.with_suffix("") if path.suffix.lower() == GZIP else path


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turns what can go wrong while a file is read into words.

    Raises:
        CorpusError: it can't be opened, is damaged, or not compressed as its suffix says.
    """
    try:
        yield
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise CorpusError(f"{path}: not a gzip file that can be read: {error}") from error
    except OSError as error:
        raise CorpusError(f"{path}: can't be read: {error.strerror}") from error


def check_readable(files: Collection[Path]) -> None:
    """Checks that files are there and can be opened; nothing is read.

    Raises:
        CorpusError: names all that are missing, or the first one that can't be opened.
    """
    missing = list(dict.fromkeys(str(path) for path in files if not path.exists()))
    if missing:
        raise CorpusError(f"{' and '.join(missing)}: can't be read: No such file or directory")
    for path in files:
        if path.is_file() or path.is_dir():  # to open a pipe would wait for a writer
            with reading(path), path.open("rb"):
                pass


def read_text(path: Path) -> str:
    """Returns a file's text, line breaks as they are.

    Raises:
        CorpusError: it can't be read, is not UTF-8, holds NUL, or is empty.
    """
    content = read_bytes(path)
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        byte = error.object[error.start]
        raise CorpusError(f"{path}, line {line}: not UTF-8 (byte 0x{byte:02x})") from error
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise CorpusError(f"{path}, line {line}: holds NUL (is it UTF-16, or not a text file?)")
    if not text.strip():
        raise CorpusError(f"{path}: the file is empty")
    return text


def numbered_lines(text: str) -> Iterator[tuple[int, str]]:
    """Yields number, 1 for the first, and content of every line that is not empty."""
    # Not splitlines(), which also breaks at form feeds and at U+2028.
    for number, line in enumerate(text.split("\n"), 1):
        if content := line.removesuffix("\r"):
            yield number, content


def read_bytes(path: Path) -> bytes:
    """Returns a file's content, uncompressed.

    Raises:
        CorpusError: it can't be read.
    """
    with reading(path):
        content = path.read_bytes()
        return gzip.decompress(content) if path != uncompressed(path) else content
