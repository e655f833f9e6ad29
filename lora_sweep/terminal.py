"""The outputs of a command, whatever they are: a terminal, a pipe that is left early, or closed.

Every command begins with `prepare`, and ends by `left` where whoever read its output has gone.
"""

import io
import logging
import os
import sys
import textwrap
import warnings
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from rich.console import Console

log = logging.getLogger(__name__)

UNLIMITED = 10_000
"""Characters of a line where nothing says how many there is room for."""


def prepare() -> None:
    """Lets every text be printed.

    A character that the output's encoding does not have (`±` in ASCII) is printed as `?`. Output
    that is closed goes nowhere, and no file that is opened later takes its number.
    """
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115
    warnings.showwarning = _in_a_line
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")


def make_console() -> "Console":
    """Returns standard output for tables and sentences, as wide as the terminal or `COLUMNS`.

    A file or pipe has no width of its own: without `COLUMNS` its lines are as long as they get.
    """
    from rich.console import Console

    console = Console()
    is_limited = console.is_terminal or os.environ.get("COLUMNS", "").isdigit()
    return console if is_limited else Console(width=UNLIMITED)


def fitted(text: str, stream: TextIO) -> str:
    """Returns a text whose lines end between words, where a terminal would cut a word in two.

    A word that is longer than a line, as a path to be pasted, stays whole. What goes to a file or
    a pipe stays as it is.

    Args:
        text: of any number of lines.
        stream: where it will be printed.
    """
    try:
        width = os.get_terminal_size(stream.fileno()).columns
    except (OSError, ValueError):  # no terminal, or no file at all
        return text
    return "\n".join(_wrapped(line, width) for line in text.splitlines()) if width else text


def _wrapped(line: str, width: int) -> str:
    if len(line) <= width:
        return line
    indent = line[: len(line) - len(line.lstrip())]
    return textwrap.fill(
        line,
        width,
        subsequent_indent=f"{indent}  ",
        break_long_words=False,
        break_on_hyphens=False,
    )


def say(text: str) -> None:
    """Prints what a user must know, an error say, on standard error, fitted to a terminal."""
    print(fitted(text, sys.stderr), file=sys.stderr)


def flush() -> None:
    """Prints what is still held back; to a terminal that was closed it goes nowhere.

    Raises:
        BrokenPipeError: whoever read the output has left.
    """
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError:
        left()


def left() -> None:
    """Lets what is still printed go nowhere: whoever read it has left, as `| head` does."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


def _in_a_line(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    first = str(message).strip().partition("\n")[0]
    log.warning("%s: %s", category.__name__, first)


class LogOutput(logging.StreamHandler):  # type: ignore[type-arg]
    """Log lines on standard output; whoever reads them may leave, and the command goes on."""

    def __init__(self) -> None:
        """Writes to the output of this moment."""
        super().__init__(sys.stdout)

    def emit(self, record: logging.LogRecord) -> None:
        """Writes a line; a progress bar on the same terminal stays below it."""
        from tqdm import tqdm

        with tqdm.external_write_mode(self.stream):
            super().emit(record)

    def format(self, record: logging.LogRecord) -> str:
        """Returns the line, fitted to a terminal."""
        return fitted(super().format(record), self.stream)

    def handleError(self, record: logging.LogRecord) -> None:
        """Called by logging while it handles an error."""
        if isinstance(sys.exc_info()[1], BrokenPipeError):
            left()
        else:
            super().handleError(record)
