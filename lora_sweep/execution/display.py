"""How far a work is, for whoever waits: a bar on a terminal, else a line now and then."""

import logging
import os
import time
from types import TracebackType
from typing import Any

from tqdm.auto import tqdm

from lora_sweep.durations import duration

log = logging.getLogger(__name__)

FIRST_LINE_SECONDS, MOST_LINE_SECONDS = 10.0, 300.0
"""Between two lines; it doubles from the first to the most, so that a log stays short."""
BAR = "{desc}: {percentage:3.0f}%|{bar}| {n_fmt}/{total_fmt} [{elapsed}<{remaining}{postfix}]"


class _Bar(tqdm):  # type: ignore[type-arg]
    """A bar that leaves out values rather than cut one, or shrink below ten characters."""

    @property
    def format_dict(self) -> dict[str, Any]:
        """Returns what the line is made of."""
        made_of = dict(super().format_dict)
        while made_of["postfix"] and self._is_too_long(made_of):
            made_of["postfix"] = made_of["postfix"].rpartition(", ")[0]
        return made_of

    def _is_too_long(self, made_of: dict[str, Any]) -> bool:
        width = made_of["ncols"]
        line = self.format_meter(**{**made_of, "ncols": None})  # whose bar has ten characters
        return width is not None and len(line) > width


class Display:
    """Shows how much of a work is done; a context that ends the bar.

    Attributes:
        n: what is done.
    """

    def __init__(self, title: str, total: int, *, unit: str, done: int = 0) -> None:
        """Shows the work at its start.

        Args:
            title: what the work is.
            total: of the work.
            unit: what it is counted in, `step`.
            done: so much was done before this process began.
        """
        self.title, self.total, self.unit, self.n = title, total, unit, done
        # tqdm's own variable holds for defaults only; the workers of a sweep share one terminal.
        hidden = True if os.environ.get("TQDM_DISABLE") else None
        self.bar = _Bar(
            total=total,
            initial=done,
            desc=title,
            unit=unit,
            disable=hidden,
            bar_format=BAR,
            dynamic_ncols=True,
        )
        self._shown: dict[str, str] = {}
        self._begun, self._n_before = time.monotonic(), done
        self._pause = FIRST_LINE_SECONDS
        self._next_line = self._begun + self._pause

    def __enter__(self) -> "Display":
        """Returns itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Leaves the bar as it is."""
        self.bar.close()

    def grow(self, n: int) -> None:
        """Adds so much to the work."""
        self.total += n
        self.bar.total = self.total

    def move(self, n: int) -> None:
        """Notes that so much is done; quick, and to be called also while nothing moves."""
        self.n = n
        if not self.bar.disable:
            self.bar.update(n - self.bar.n)
        elif (now := time.monotonic()) >= self._next_line:
            self._pause = min(2 * self._pause, MOST_LINE_SECONDS)
            self._next_line = now + self._pause
            log.info("%s", self._line(now - self._begun))

    def show(self, **values: str) -> None:
        """Shows values beside it; those of before stay."""
        self._shown |= values
        by_name = dict(sorted(self._shown.items()))  # the last is left out first
        self.bar.set_postfix(by_name, refresh=False)

    def _line(self, seconds: float) -> str:
        """`4 runs (8 of 24 done): step 30 of 900, loss=0.692, about 12 min left`."""
        parts = [f"{self.unit} {self.n} of {self.total}"]
        parts += [f"{name}={value}" for name, value in self._shown.items()]
        moved = self.n - self._n_before
        if moved:
            parts.append(f"about {duration(seconds / moved * (self.total - self.n))} left")
        return f"{self.title}: {', '.join(parts)}"
