"""Runs to train -> packs that train together -> what became of each run.

A pack shares base, data, batches, device and precision; in all else its runs may differ. What
breaks a pack as a whole is tried again in halves, down to one run, which then fails alone.
Several processes that work on one sweep take a pack each, and wait for each other at the end.
"""

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch

from lora_sweep.errors import ClaimedElsewhereError, LoraSweepError, StorageError
from lora_sweep.runs.claims import Claims, still_holds
from lora_sweep.runs.jobs import Job, Outcome, compatibility
from lora_sweep.runs.pack_size import best_pack_size
from lora_sweep.runs.record import FailureRecord
from lora_sweep.runs.referee import Referee
from lora_sweep.runs.store import is_done
from lora_sweep.runs.sweep_packs import Packs, SweepPacks
from lora_sweep.runs.train import Shared, load_shared, train_together

log = logging.getLogger(__name__)

WAIT_SECONDS = 2.0


@dataclass(frozen=True)
class Ways:
    """How runs are divided and ended.

    Attributes:
        pack_size: most runs that train at once; None for as many as pay off.
        together: so many neighbouring runs are kept in one pack where it can be.
        referee: decides which runs end early; None for none.
        waits: for runs that another process trains; else they end in a ClaimedElsewhereError.
    """

    pack_size: int | None = None
    together: int = 1
    referee: Referee | None = None
    waits: bool = True


def train_jobs(jobs: Sequence[Job], ways: Ways) -> list[Outcome]:
    """Trains runs, compatible ones together, and returns what became of each, in order.

    Args:
        jobs: the runs, all of one sweep.
        ways: how they are divided and ended.

    Raises:
        StoppedError: a signal came; all that trained is saved.
        StorageError: something can't be written.
    """
    groups: dict[str, list[Job]] = {}
    for job in jobs:
        groups.setdefault(compatibility(job.config), []).append(job)
    outcomes: dict[str, Outcome] = {}
    for members in groups.values():
        outcomes |= _Group(members, ways).train()
    return [outcomes[job.name] for job in jobs]


class _Group:
    """Compatible runs, and what has become of them so far."""

    def __init__(self, jobs: Sequence[Job], ways: Ways) -> None:
        """Takes runs that are to be trained."""
        self.jobs = {job.name: job for job in jobs}
        self.sweep_dir = jobs[0].folder.path.parent
        self.ways = ways
        self.packs = SweepPacks(self.sweep_dir)
        self.claims = Claims(self.packs.folder)
        self.outcomes: dict[str, Outcome] = {}

    @cached_property
    def shared(self) -> Shared:
        """What they train over, loaded when it is needed."""
        return load_shared(list(self.jobs.values()))

    def train(self) -> dict[str, Outcome]:
        """Trains them, pack after pack, and returns what became of each."""
        self.packs.reopen(
            list(self.jobs), self._is_done, lambda name: self.jobs[name].folder.reopen()
        )
        said: set[str] = set()
        while waiting := self._waiting():
            try:
                packs = self.packs.agree(
                    waiting, self._is_done, self._size, together=self.ways.together
                )
            except Exception as error:
                if isinstance(error, StorageError):
                    raise
                return self.outcomes | self._fail([self.jobs[name] for name in waiting], error)
            _say_packs(packs, said)
            if any(self._try(pack, members) for pack, members in packs.items()):
                continue
            if not self.ways.waits:
                return self.outcomes | {name: self._busy(packs) for name in waiting}
            self._say_owners(packs, said)
            time.sleep(WAIT_SECONDS)
        return self.outcomes

    def _waiting(self) -> list[str]:
        """Names of the runs without an outcome, here or in their folders."""
        for name, job in self.jobs.items():
            if name not in self.outcomes and (outcome := job.outcome) is not None:
                self.outcomes[name] = outcome
        return [name for name in self.jobs if name not in self.outcomes]

    def _is_done(self, name: str) -> bool:
        return is_done(self.sweep_dir / name)

    def _size(self, names: Sequence[str]) -> int:
        """How many of the runs train at once."""
        if not self.shared.encoder.can_pack:
            return 1
        if self.ways.pack_size is not None:
            return self.ways.pack_size
        plans, shared = [self.jobs[name].plan for name in names], self.shared
        return best_pack_size(shared.encoder, shared.texts, plans, shared.plan)

    def _try(self, pack: str, members: Sequence[str]) -> bool:
        """Trains a pack's runs unless another process does; returns whether it was free."""
        with self.claims.claimed(pack) as lease:
            if lease is None:
                return False
            # Whoever held the claim until now may have finished it, or split it.
            if self.packs.holds(pack):
                jobs = [self.jobs[name] for name in members if name in self.jobs]
                left = [job for job in jobs if job.outcome is None]
                if left:
                    self._train(pack, left, lambda: still_holds(lease))
                self.packs.drop_done(members, self._is_done)
        return True

    def _train(self, pack: str, jobs: Sequence[Job], holds_claim: Callable[[], bool]) -> None:
        names = [job.name for job in jobs]
        try:
            trained = train_together(jobs, self.shared, holds_claim, self.ways.referee)
            self.outcomes |= dict(zip(names, trained, strict=True))
            return
        except ClaimedElsewhereError as error:
            log.warning("%s", error)
            return
        except Exception as error:
            if isinstance(error, StorageError):
                raise
            if len(jobs) == 1 or isinstance(error, LoraSweepError):
                self.outcomes |= self._fail(jobs, error)
                return
            reason = f"{type(error).__name__}: {error}"
        # Out here the error is gone, and with it what its traceback kept in memory.
        if self.shared.plan.device.type == "cuda":
            torch.cuda.empty_cache()
        log.warning("a pack of %d runs broke, its halves are tried: %s", len(jobs), reason)
        self.packs.split(pack, self._is_done)

    def _fail(self, jobs: Sequence[Job], error: Exception) -> dict[str, Outcome]:
        """The same error for all of these runs, in their folders too."""
        for job in jobs:
            job.folder.ready()
            job.folder.fail(FailureRecord(job.settings, f"{type(error).__name__}: {error}"))
        return {job.name: error for job in jobs}

    def _busy(self, packs: Packs) -> ClaimedElsewhereError:
        owners = sorted({self.claims.owner(pack) for pack in packs})
        return ClaimedElsewhereError(f"being trained by {', '.join(owners)}")

    def _say_owners(self, packs: Packs, said: set[str]) -> None:
        """Says once of every pack whom this process waits for."""
        for pack, members in packs.items():
            line = f"waiting for {len(members)} runs that {self.claims.owner(pack)} trains"
            if line not in said:
                said.add(line)
                log.info(line)


def _say_packs(packs: Packs, said: set[str]) -> None:
    """Says once how the runs are divided."""
    sizes = [len(members) for pack, members in packs.items() if pack not in said]
    said.update(packs)
    if sum(sizes) > 1:
        what = "1 pack" if len(sizes) == 1 else f"{len(sizes)} packs of up to {max(sizes)}"
        log.info("%d runs train in %s", sum(sizes), what)
