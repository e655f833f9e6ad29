"""Runs to train -> packs that train together -> what became of each run.

A pack shares base, data, batches, device and precision; in all else its runs may differ. What
breaks a pack as a whole is tried again in halves, down to one run, which then fails alone.
Several processes that work on one sweep take a pack each, of whichever group has one that is free,
and wait for each other at the end.
"""

import logging
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from lora_sweep.errors import ClaimedElsewhereError, LoraSweepError, StorageError
from lora_sweep.execution.inputs import can_pack
from lora_sweep.execution.job import Job, Outcome, compatibility
from lora_sweep.execution.pack_size import best_pack_size, size_for_workers
from lora_sweep.execution.protocols import Executor, StopPolicy
from lora_sweep.execution.train import Shared, load_shared, plans_of, train_together
from lora_sweep.store.claims import Claim, Claims, unclaimed_first
from lora_sweep.store.pack_list import PackList, Packs
from lora_sweep.store.record import FailureRecord
from lora_sweep.store.run_log import log_failure
from lora_sweep.words import counted

log = logging.getLogger(__name__)

WAIT_SECONDS = 2.0
RUNS_PER_LOOK = 1_000
"""While so many runs of others are waited for, or fewer; for more, the looks are rarer."""


@dataclass(frozen=True)
class Options:
    """How runs are divided and ended.

    Attributes:
        pack_size: most runs that train at once; None for as many as pay off.
        together: so many neighbouring runs are kept in one pack where it can be.
        stop_policy: decides which runs end early; None for none.
        waits: for runs that another process trains; else they end in a ClaimedElsewhereError,
            which is for single cells alone, without an executor.
        executor: who trains the packs; None for this process.
        n_workers: of the executor, among whom runs that come together are divided; None for all.
        command: that asks for single runs; None where the sweep's list has it.
        leave: called once the executor has all packs, which then are not waited for; returns
            where they are. None for waiting.
    """

    pack_size: int | None = None
    together: int = 1
    stop_policy: StopPolicy | None = None
    waits: bool = True
    executor: Executor | None = None
    n_workers: int | None = None
    command: str | None = None
    leave: Callable[[], str] | None = None


def train_jobs(jobs: Sequence[Job], options: Options) -> list[Outcome]:
    """Trains runs, compatible ones together, and returns what became of each, in order.

    Args:
        jobs: the runs, all of one sweep.
        options: how they are divided and ended.

    Raises:
        StoppedError: a signal came; all that trained is saved.
        StorageError: something can't be written.
    """
    groups = compatible_groups(jobs, options)
    for group in groups:
        group.reopen()
    while left := [group for group in groups if not group.is_over]:
        # One that has trained something is asked again, before another base is loaded.
        if any(group.train_free() for group in left):
            continue
        if options.waits:
            _wait_for_others(left)
        else:
            for group in left:
                group.give_up()
    outcomes = {name: one for group in groups for name, one in group.outcomes.items()}
    return [outcomes[job.name] for job in jobs]


def _wait_for_others(groups: "Sequence[Group]") -> None:
    """Says whom this process waits for, and waits; the more runs, the longer."""
    for group in groups:
        group.say_owners(group.held)
    n_left = sum(len(group.jobs) - len(group.outcomes) for group in groups)
    time.sleep(WAIT_SECONDS * max(1.0, n_left / RUNS_PER_LOOK))


def compatible_groups(jobs: Sequence[Job], options: Options) -> "list[Group]":
    """Returns the runs that may train together, group by group."""
    groups: dict[str, list[Job]] = {}
    for job in jobs:
        groups.setdefault(compatibility(job), []).append(job)
    return [Group(members, options) for members in groups.values()]


class Group:
    """Compatible runs, and what has become of them so far.

    Attributes:
        jobs: name of each run -> how it is trained.
        outcomes: name of each run that has ended -> what became of it.
        held: the packs that others trained when the last look found none that was free.
    """

    def __init__(self, jobs: Sequence[Job], options: Options) -> None:
        """Takes runs that are to be trained."""
        self.jobs = {job.name: job for job in jobs}
        self.options = options
        self.packs = PackList(jobs[0].folder.path.parent)
        self.claims = Claims(self.packs.folder)
        self.outcomes: dict[str, Outcome] = {}
        self.held: Packs = {}
        self._shared: Shared | None = None
        self._said: set[str] = set()

    @property
    def shared(self) -> Shared:
        """What they train over, loaded when it is needed, and kept until the group's turn ends."""
        if self._shared is None:
            self._shared = load_shared(list(self.jobs.values()))
        return self._shared

    @property
    def is_over(self) -> bool:
        """Whether every run has an outcome."""
        return len(self.outcomes) == len(self.jobs)

    def train_free(self) -> bool:
        """Trains the packs that nobody else trains, one after the other.

        Returns:
            Whether there was something to do; if not, others train all that is left.
        """
        self.held = {}
        if not (waiting := self.waiting()):
            return True
        packs = self.agree(waiting)
        order = unclaimed_first(packs, done=self.packs.finished, claimed=self.claims.names)
        n_trained = sum(self.try_pack(pack, packs[pack]) for pack in order)
        self._shared = None  # the next group's base would have to fit in beside it
        if not n_trained:
            self.held = packs
        return n_trained > 0 or not packs

    def reopen(self) -> None:
        """Makes runs that failed before ones that are to be trained; see `PackList.reopen`."""
        self.packs.reopen(list(self.jobs))

    def waiting(self, names: Sequence[str] | None = None) -> list[str]:
        """Returns those of the runs (None for all) that have no outcome, also not on disk."""
        names = list(self.jobs) if names is None else names
        for name in names:
            if name not in self.outcomes and (outcome := self.jobs[name].outcome) is not None:
                self.outcomes[name] = outcome
        return [name for name in names if name not in self.outcomes]

    def agree(self, waiting: Sequence[str]) -> Packs:
        """Returns the packs that hold these runs; none if they have just failed, all of them."""
        try:
            packs = self.packs.agree(waiting, self._size, together=self.options.together)
        except Exception as error:
            if isinstance(error, StorageError):
                raise
            self.fail(waiting, error)
            for name in waiting:
                log_failure(self.jobs[name].folder.path, error)
            return {}
        _say_packs(packs, self._said)
        return packs

    def _size(self, names: Sequence[str]) -> int:
        """How many of the runs train at once."""
        if self.options.executor is not None:
            n_workers = self.options.n_workers or self.options.executor.capacity
            return self._size_elsewhere(len(names), n_workers)
        if not self.shared.encoder.can_pack:
            return 1
        if self.options.pack_size is not None:
            return self.options.pack_size
        shared = self.shared
        plans = plans_of([self.jobs[name] for name in names], shared)
        return best_pack_size(
            shared.encoder, shared.texts, plans, shared.plan, together=self.options.together
        )

    def _size_elsewhere(self, n_runs: int, n_workers: int) -> int:
        """The same where others train, whose memory and speed this process does not know."""
        if not can_pack(next(iter(self.jobs.values())).config):
            return 1
        return self.options.pack_size or size_for_workers(n_runs, n_workers, self.options.together)

    def try_pack(self, pack: str, members: Sequence[str]) -> bool:
        """Trains a pack's runs unless another process does; returns whether it was free."""
        with self.claims.claimed(pack) as claim:
            if claim is None:
                return False
            # Whoever held the claim until now may have finished it, or split it.
            if self.packs.holds(pack):
                jobs = [self.jobs[name] for name in members if name in self.jobs]
                left = [job for job in jobs if job.outcome is None]
                if left:
                    self._train(pack, left, claim)
                self.packs.finish(pack)
        return True

    def _train(self, pack: str, jobs: Sequence[Job], claim: Claim) -> None:
        names = [job.name for job in jobs]
        try:
            trained = train_together(jobs, self.shared, claim, self.options.stop_policy)
            self.outcomes |= dict(zip(names, trained, strict=True))
            return
        except ClaimedElsewhereError as error:
            log.warning("%s", error)
            return
        except Exception as error:
            if isinstance(error, StorageError):
                raise
            reason = f"{type(error).__name__}: {error}"
            ends = len(jobs) == 1 or isinstance(error, LoraSweepError)
            if ends:
                self.fail(names, error)
        # Out here nothing holds what the pack had in memory: this gives it back to the device.
        torch.cuda.empty_cache()
        if not ends:
            log.warning("a pack of %d runs broke, its halves are tried: %s", len(jobs), reason)
            self.packs.split(pack, together=self.options.together)

    def fail(self, names: Sequence[str], error: Exception) -> None:
        """Makes an error the outcome of all of these runs, in their folders too."""
        _empty_frames(error)
        for job in (self.jobs[name] for name in names):
            job.folder.ready()
            job.folder.fail(FailureRecord(job.settings, f"{type(error).__name__}: {error}"))
            self.outcomes[job.name] = error

    def give_up(self) -> None:
        """Leaves the runs that have no outcome to those who train their packs."""
        owners = ", ".join(sorted({self.claims.owner(pack) for pack in self.held}))
        error = ClaimedElsewhereError(f"being trained by {owners}")
        self.outcomes |= {name: error for name in self.jobs if name not in self.outcomes}

    def say_owners(self, packs: Packs) -> None:
        """Says once of every pack whom this process waits for."""
        for pack, members in packs.items():
            n_runs = counted(len(members), "run")
            line = f"waiting for {n_runs} that {self.claims.owner(pack)} trains"
            if line not in self._said:
                self._said.add(line)
                log.info(line)


def _empty_frames(error: BaseException | None) -> None:
    """Empties the frames of an error's tracebacks, which keep a pack's tensors in memory."""
    while error is not None:
        traceback.clear_frames(error.__traceback__)
        error = error.__cause__ or error.__context__


def _say_packs(packs: Packs, said: set[str]) -> None:
    """Says once how the runs are divided."""
    sizes = [len(members) for pack, members in packs.items() if pack not in said]
    said.update(packs)
    if sum(sizes) > 1:
        largest = f" of up to {max(sizes)}" if len(sizes) > 1 else ""
        log.info("%d runs train in %s%s", sum(sizes), counted(len(sizes), "pack"), largest)
