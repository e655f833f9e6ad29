"""Runs to train -> packs handed to workers -> what became of each run.

The packs are agreed here, as for one process; workers train them, and what became of a run is
read from its folder. A worker that dies costs its pack, which goes on from its checkpoints.
"""

import logging
import os
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from lora_sweep.errors import StorageError, WorkerDiedError, WorkersAwayError
from lora_sweep.execution.display import Display
from lora_sweep.execution.group import WAIT_SECONDS, Group, Options, compatible_groups
from lora_sweep.execution.heartbeats import Heartbeats
from lora_sweep.execution.job import Job, Outcome
from lora_sweep.execution.pack_task import PackTask
from lora_sweep.execution.protocols import Executor, Handle, PackEnd
from lora_sweep.interrupt import LeftError, StoppedError, StopRequest
from lora_sweep.rules import require
from lora_sweep.store.pack_list import Packs
from lora_sweep.words import counted

log = logging.getLogger(__name__)

POLL_SECONDS = 0.1
MAX_TRIES = 3
"""Workers that one pack may cost; then its runs fail."""
AWAY_LOOK_SECONDS, MOST_AWAY_SECONDS = 30.0, 900.0
"""Between two tries to have workers where there are none, and until the command ends."""


class _PackUnderWay(NamedTuple):
    """A pack that a worker has."""

    handle: Handle
    group: Group
    members: list[str]


class Dispatch:
    """The packs of one sweep's runs: those to hand out, and those under way.

    Runs may come while others train.
    """

    def __init__(
        self, options: Options, executor: Executor, display: Display, stop: StopRequest
    ) -> None:
        """Has no runs yet."""
        self.options, self.executor = options, executor
        self.display, self.stop = display, stop
        self.groups: list[Group] = []
        self.todo: dict[str, tuple[Group, list[str]]] = {}
        self.under_way: dict[str, _PackUnderWay] = {}
        self.n_deaths: Counter[str] = Counter()
        self.heartbeats = Heartbeats()
        self._n_ended = 0
        self._next_look = self._next_hand_out = 0.0
        self._away_since: float | None = None

    @property
    def is_busy(self) -> bool:
        """Whether runs are without an outcome, or workers have not come back."""
        return bool(self.under_way or self.groups)

    def add(self, jobs: Sequence[Job]) -> None:
        """Takes runs that are to be trained."""
        groups = compatible_groups(jobs, self.options)
        for group in groups:
            group.reopen()
        self.groups += groups
        self.display.grow(len(jobs))
        self._next_look = 0.0

    def turn(self) -> dict[str, Outcome]:
        """Looks once after all that is to do; waits a moment where nothing has ended.

        Returns:
            Name of each run -> what became of it, for the groups of runs that have ended.

        Raises:
            StoppedError: a signal came; all that was under way is saved.
        """
        self._look()
        self._hand_out()
        for pack in list(self.under_way):
            self._collect(pack)
        if self.stop.signal_number is not None:
            self._stop(self.stop.signal_number)
        self.display.move(self.display.n)
        outcomes = self._take_ended()
        if not outcomes:
            time.sleep(POLL_SECONDS)
        return outcomes

    def leave(self) -> None:
        """Hands out every pack that is left, and waits for none; returns if nothing is left.

        What the jobs of an earlier command have answered is read.

        Raises:
            LeftError: that is done; it says where they are.
            SettingError: they are more than may be handed out at once.
            WorkersAwayError: the cluster does not answer.
        """
        self._look()
        for pack, (group, members) in list(self.todo.items()):
            if self._take_up(pack, group, members):
                del self.todo[pack]
                self._collect(pack)
        n_packs, capacity = len(self.todo) + len(self.under_way), self.executor.capacity
        rule = f"at least the {n_packs} packs where none is waited for, or pack_size larger"
        require(n_packs <= capacity, "hydra.launcher.submitit.max_queued", rule, capacity)
        self._hand_out()
        if self.todo:
            raise WorkersAwayError("the cluster does not answer: the same command tries again")
        if not all(group.is_over for group in self.groups):
            assert self.options.leave is not None
            raise LeftError(self.options.leave())

    def _take_ended(self) -> dict[str, Outcome]:
        """What became of the runs of groups that have ended, which are forgotten."""
        ended = [group for group in self.groups if group.is_over]
        self.groups = [group for group in self.groups if group not in ended]
        self._n_ended += sum(len(group.jobs) for group in ended)
        return {name: one for group in ended for name, one in group.outcomes.items()}

    def _look(self) -> None:
        """Agrees on packs as soon as there are none left to hand out."""
        if self.todo or time.monotonic() < self._next_look:
            return
        if len(self.under_way) >= self.executor.capacity:
            return
        self._next_look = time.monotonic() + WAIT_SECONDS
        for group in self.groups:
            if waiting := group.waiting():
                packs = group.agree(waiting)
                self.todo |= {
                    pack: (group, [name for name in members if name in group.jobs])
                    for pack, members in packs.items()
                    if pack not in self.under_way
                }
        self._show()

    def _hand_out(self) -> None:
        """Fills the workers; a pack that another process trains is looked at again later."""
        chosen: dict[str, tuple[Group, list[str]]] = {}
        busy: list[tuple[Group, Packs]] = []
        if time.monotonic() < self._next_hand_out:
            return
        while self.todo and len(self.under_way) + len(chosen) < self.executor.capacity:
            pack = next(iter(self.todo))
            group, members = self.todo.pop(pack)
            if self._take_up(pack, group, members):
                continue
            if group.claims.is_free(pack):
                chosen[pack] = group, members
            else:
                busy.append((group, {pack: members}))
        for group, packs in busy:
            group.say_owners(packs)
        if chosen:
            self._submit(chosen)

    def _take_up(self, pack: str, group: Group, members: list[str]) -> bool:
        """Takes up a pack that an earlier command has handed out; whether one has."""
        handle = self.executor.resume(pack)
        if handle is not None:
            self.under_way[pack] = _PackUnderWay(handle, group, members)
        return handle is not None

    def _submit(self, chosen: Mapping[str, tuple[Group, list[str]]]) -> None:
        tasks = [self._task(pack, *one) for pack, one in chosen.items()]
        try:
            handles = self.executor.submit(tasks)
        except WorkersAwayError as error:
            self.todo = {**chosen, **self.todo}
            self._wait_for_workers(error)
            return
        self._away_since = None
        for (pack, one), handle in zip(chosen.items(), handles, strict=True):
            self.under_way[pack] = _PackUnderWay(handle, *one)

    def _wait_for_workers(self, error: WorkersAwayError) -> None:
        """Puts the next try off; ends the command where there have been no workers for long."""
        now = time.monotonic()
        self._next_hand_out = now + AWAY_LOOK_SECONDS
        if self._away_since is None:
            self._away_since = now
            log.warning("%s: waiting for it, Ctrl-C ends the command", error)
        elif now - self._away_since > MOST_AWAY_SECONDS:
            raise error

    def _task(self, pack: str, group: Group, members: Sequence[str]) -> PackTask:
        return PackTask(
            pack=pack,
            jobs=tuple(group.jobs[name] for name in members),
            stop_policy=self.options.stop_policy,
            together=self.options.together,
            folder=os.getcwd(),
            log_level=logging.getLogger().getEffectiveLevel(),
        )

    def _collect(self, pack: str) -> None:
        """Reads what became of a pack's runs, if it has ended."""
        one = self.under_way[pack]
        try:
            end = one.handle.end()
        except WorkerDiedError as error:
            self._try_again(pack, one, error)
            return
        except WorkersAwayError as error:  # no fault of the pack's: it costs no try
            self._take_back(pack)
            self.todo[pack] = one.group, one.members
            self._wait_for_workers(error)
            return
        if end is None:
            if self.heartbeats.are_gone(pack, *one):
                died = WorkerDiedError(f"{one.handle.drop()}: no sign of life")
                self._try_again(pack, one, died)
            return
        self._take_back(pack)
        for line in end.warnings:
            log.warning("%s: %s", pack, line)
        if end.stopped is not None:
            self._try_again(pack, one, WorkerDiedError(end.stopped.said))
        else:
            self._note(pack, one, end)

    def _take_back(self, pack: str) -> None:
        self.under_way.pop(pack, None)
        self.heartbeats.forget(pack)

    def _note(self, pack: str, one: _PackUnderWay, end: PackEnd) -> None:
        if isinstance(end.error, StorageError):
            raise end.error
        left = one.group.waiting(one.members)
        if end.error is not None:
            one.group.fail(left, end.error)
        n_done, n_runs = self._show()
        log.info("%s has ended: %d of %d runs done", pack, n_done, n_runs)

    def _try_again(self, pack: str, one: _PackUnderWay, reason: WorkerDiedError) -> None:
        """Queues the pack of a dead worker again, or fails its runs after too many."""
        self._take_back(pack)
        self.n_deaths[pack] += 1
        n_tries, left = self.n_deaths[pack], one.group.waiting(one.members)
        if n_tries < MAX_TRIES:
            again = f"queued again, try {n_tries + 1} of {MAX_TRIES}"
            log.warning("worker died (%s) while it trained %s: %s", reason, pack, again)
            self.todo[pack] = one.group, one.members
            return
        error = WorkerDiedError(
            f"{pack} must leave its workers alive, but got {n_tries} that died (last: {reason}): "
            f"{reason.remedy}"
        )
        log.error("%s", error)
        one.group.fail(left, error)
        self._show()

    def _stop(self, signal_number: int) -> None:
        n_packs = len(self.under_way)
        self.executor.stop()
        what = counted(n_packs, "pack under way", "packs under way", verb=("is", "are"))
        raise StoppedError(signal_number, f"stopped, {what} saved: the same command goes on")

    def _show(self) -> tuple[int, int]:
        """Shows, and returns, how many runs have an outcome, and how many there are."""
        n_done = self._n_ended + sum(len(group.outcomes) for group in self.groups)
        self.display.move(n_done)
        return n_done, self.display.total
