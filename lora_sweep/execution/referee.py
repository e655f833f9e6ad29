"""Who may end runs of a pack before their time: what a search's pruner must answer."""

from collections.abc import Collection, Mapping
from typing import Protocol


class Referee(Protocol):
    """Decides, after every evaluation but the last, which runs of a pack end.

    One that is sent to other processes must be picklable.
    """

    def dismissed(self, epoch: int, metrics: Mapping[str, float]) -> Collection[str]:
        """Returns the names of the runs that end now.

        Args:
            epoch: that all runs of the pack have finished, 1 for the first.
            metrics: name of each run that is left in the pack -> the metric that would be
                reported of it if it ended now, 0 to 1.
        """
