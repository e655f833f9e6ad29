"""A command on a terminal of 80 columns, and what somebody who sits there reads at its end."""

import contextlib
import fcntl
import os
import pty
import re
import select
import struct
import termios
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from processes import Fork

WIDTH, HEIGHT = 80, 24
_CONTROL = re.compile(r"\x1b\[(?P<n>[0-9;?]*)(?P<what>[A-Za-z])|(?P<sign>[\r\n\b])|\x1b.")


class OnTerminal:
    """A `Fork` whose outputs are a pseudo-terminal.

    Attributes:
        said: what it has printed so far, with all control characters.
    """

    def __init__(self, command: Sequence[str], *, cwd: Path, env: Mapping[str, str]) -> None:
        """Starts it, as `Fork` does."""
        self.said = b""
        self._ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("4H", HEIGHT, WIDTH, 0, 0))
        without = {name: text for name, text in env.items() if name not in ("COLUMNS", "NO_COLOR")}
        self.process = Fork(command, cwd=cwd, env={**without, "TERM": "xterm"}, output=theirs)
        os.close(theirs)

    def end(
        self,
        *,
        stop_at: Callable[[str], bool] | None = None,
        number: int = 2,
        seconds: float = 120,
    ) -> tuple[int, str]:
        """Waits for its end; returns the exit code, and the lines that then stand there.

        Args:
            stop_at: of what was printed so far: whether the signal is sent now, once.
            number: of the signal, Ctrl-C's.
            seconds: to wait at most.
        """
        until = time.monotonic() + seconds
        while self._read() or self.process.poll() is None:
            if stop_at is not None and stop_at(self.said.decode(errors="replace")):
                self.process.send_signal(number)
                stop_at = None
            assert time.monotonic() < until, self.said.decode(errors="replace")
        os.close(self._ours)
        code = self.process.wait(seconds)
        return code, "\n".join(screen(self.said.decode()))

    def _read(self) -> bool:
        """Reads what there is within a moment; returns whether there was something."""
        if select.select([self._ours], [], [], 0.02)[0]:
            with contextlib.suppress(OSError):  # the other end is closed
                new = os.read(self._ours, 1 << 16)
                self.said += new
                return bool(new)
        return False


def screen(said: str) -> list[str]:
    """Returns the lines that control characters leave, however long; the last may be empty."""
    lines, row, column, at = [""], 0, 0, 0
    for control in [*_CONTROL.finditer(said), None]:
        text = said[at : control.start() if control else None]
        lines[row] = lines[row].ljust(column)[:column] + text + lines[row][column + len(text) :]
        column += len(text)
        if control is None:
            break
        at = control.end()
        sign, what = control["sign"], control["what"]
        if sign == "\r":
            column = 0
        elif sign == "\n":
            row, column = row + 1, 0
            lines += [""] * (row == len(lines))
        elif what == "A":
            row = max(row - int(control["n"] or 1), 0)
        elif what == "K":
            lines[row] = "" if control["n"] == "2" else lines[row][:column]
    return [line.rstrip() for line in lines]
