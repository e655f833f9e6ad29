"""Whether those who should train packs are seen to do so, whatever their queue says of them."""

import time
from collections.abc import Sequence

from lora_sweep.execution.group import Group
from lora_sweep.execution.protocols import Handle

LOOK_SECONDS = 10.0
UNCLAIMED_SECONDS = 150.0
"""A worker that has a pack for so long, and does not claim it, is none."""


class Heartbeats:
    """What was seen of the claims of packs that are under way.

    A claim whose owner is dead is free after `LEASE_SECONDS` of this process's clock, at once if
    the owner was on this host (`store/claims.py`).
    """

    def __init__(self) -> None:
        """Has seen nothing yet."""
        self._next_look: dict[str, float] = {}
        self._claimed_at: dict[str, float] = {}

    def are_gone(self, pack: str, handle: Handle, group: Group, members: Sequence[str]) -> bool:
        """Returns whether nobody trains a pack that a worker has begun; looks now and then.

        Args:
            pack: its name.
            handle: of its worker.
            group: that it is of.
            members: names of its runs.
        """
        now = time.monotonic()
        if now < self._next_look.get(pack, 0.0):
            return False
        self._next_look[pack] = now + LOOK_SECONDS
        if not handle.is_started():
            self._claimed_at.pop(pack, None)
            return False
        if pack in group.claims.names():
            self._claimed_at[pack] = now
            is_left = group.claims.is_free(pack)  # a dead process's claim
        else:
            is_left = now - self._claimed_at.setdefault(pack, now) > UNCLAIMED_SECONDS
        # Who has trained all of its runs has given the claim back, and may still write a report.
        return is_left and bool(group.waiting(members))

    def forget(self, pack: str) -> None:
        """Forgets what was seen: another worker gets the pack, or none."""
        self._next_look.pop(pack, None)
        self._claimed_at.pop(pack, None)
