"""What a resolve may spend: runs, hours, and seeds of a look."""

import time
from dataclasses import dataclass, field

from lora_sweep.rules import require
from lora_sweep.words import counted

_SWEEPER = "hydra.sweeper"


@dataclass
class Budget:
    """What one command may spend.

    Attributes:
        max_runs: that it may train; None for any number.
        max_hours: after which no look is prepared any more; None for no limit.
        max_seeds: of the last look; None for no limit.
        n_trained: runs that it was spent on.

    Raises:
        SettingError: one breaks its rule.
    """

    max_runs: int | None = None
    max_hours: float | None = None
    max_seeds: int | None = None
    n_trained: int = 0
    _started: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        """Checks the rules."""
        runs, hours, seeds = self.max_runs, self.max_hours, self.max_seeds
        for name, value, least in (("max_runs", runs, 1), ("max_seeds", seeds, 3)):
            is_count = isinstance(value, int) and not isinstance(value, bool) and value >= least
            rule = f"null, or an integer of at least {least}"
            require(value is None or is_count, f"{_SWEEPER}.{name}", rule, value)
        is_time = isinstance(hours, int | float) and not isinstance(hours, bool) and hours > 0
        rule = "null, or more than 0"
        require(hours is None or is_time, f"{_SWEEPER}.max_hours", rule, hours)

    def has_seeds(self, n: int) -> bool:
        """Returns whether a look at so many seeds was asked for."""
        return self.max_seeds is None or n <= self.max_seeds

    def spent(self, n_seeds: int, n_runs: int) -> str | None:
        """Returns why a look is not made, None where there is budget for it.

        Args:
            n_seeds: of the look.
            n_runs: that are to be trained before it.
        """
        if not self.has_seeds(n_seeds):
            return f"max_seeds is {self.max_seeds}"
        if self.max_runs is not None and self.n_trained + n_runs > self.max_runs:
            needed = counted(n_runs, "run")
            return f"it needs {needed}, and {self.n_trained} of {self.max_runs} are spent"
        hours = (time.monotonic() - self._started) / 3600
        if self.max_hours is not None and hours >= self.max_hours:
            return f"the time is over, {counted(self.max_hours, 'hour')}"
        return None
