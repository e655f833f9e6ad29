"""How a sweep stands: counts, pace, time to the end, the best cells, what failed and why."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from lora_sweep.status.ahead import Ahead, work_ahead
from lora_sweep.status.cells import CellStatus, best_cells
from lora_sweep.status.folders import Run, SweepFolder
from lora_sweep.status.pace import Pace, Span, recent_pace
from lora_sweep.status.packs import PackStatus, pack_states
from lora_sweep.status.queue import queued_packs
from lora_sweep.store.state import State


@dataclass(frozen=True)
class Status:
    """How a sweep stands.

    Attributes:
        sweep: its folder.
        n_runs: asked for, or found.
        finished, failed, pruned, running, left: they sum to `n_runs`. Left is what is not trained
            now, begun or not.
        queued: those of the left whose pack has a job in Slurm's queue.
        damaged: those of the left whose record can't be read: the same command trains them anew.
        saved: those of the left that are saved midway, and go on from there.
        collapsed: finished runs that predict one class only.
        runs_per_hour: while the sweep trains; None while that is not known.
        from_runs: as many runs' training tells it.
        seconds_left: to the end of these runs, if it goes on like that; None while it is not
            known, and where nothing is trained now.
        ahead: a search or a resolve that has still to ask for runs, which `left` does not count.
        best: see `best_cells`.
        packs: trained now.
        queue: of the packs that wait, name -> job, and Slurm's words on it.
        failures: name -> reason, of failed runs.
        damages: name -> reason, of damaged ones.
        commands: that ask for the runs that are left or running, or have still to ask for some:
            the same ones go on with them.
        others: runs that lie there too, but that the sweep's command did not ask for.
        misplaced: folders that are copies of a run's -> whose record they hold; not counted.
    """

    sweep: str
    n_runs: int
    finished: int
    failed: int
    pruned: int
    running: int
    left: int
    queued: int
    damaged: int
    saved: int
    collapsed: int
    runs_per_hour: float | None
    from_runs: float
    seconds_left: float | None
    ahead: list[Ahead]
    best: list[CellStatus]
    packs: list[PackStatus]
    queue: dict[str, str]
    failures: dict[str, str]
    damages: dict[str, str]
    commands: list[str]
    others: int
    misplaced: dict[str, str]

    @property
    def is_over(self) -> bool:
        """Whether nothing is left to train, or to ask for."""
        return self.running == self.left == 0 and not self.ahead

    @property
    def trials_under_way(self) -> int:
        """Trials of a search that living processes have claimed, trained just now or not."""
        return sum(one.under_way for one in self.ahead)


def sweep_status(folder: SweepFolder) -> Status:
    """Returns how a sweep stands now.

    Args:
        folder: of the sweep; it remembers what it has read, so keep it for the next look.

    Raises:
        LoraSweepError: the folder is not there, or holds no sweep.
        RecordError: the list of its runs or packs, the record of a search or the looks of a
            resolve can't be read.
    """
    runs = folder.look()
    ahead = work_ahead(folder.path, folder.meant)
    packs = pack_states(folder.path, {run.name: run for run in runs})
    live = [pack for pack in packs if pack.owner is not None]
    count = Counter(run.state for run in runs)
    running = {name for pack in live for name in pack.runs}
    queue = queued_packs(folder.path, except_for=[pack.name for pack in live])
    in_queue = {name for pack in queue for name in pack.runs} - running
    saved = [run for run in runs if run.has_begun and run.name not in running]
    pace = _pace(runs, live)
    # What is trained of the runs that are not done, in runs.
    begun = sum(pack.share * len(pack.runs) for pack in packs)
    return Status(
        sweep=str(folder.path),
        n_runs=len(runs),
        finished=count[State.FINISHED],
        failed=count[State.FAILED],
        pruned=count[State.PRUNED],
        running=len(running),
        left=count[State.OPEN] + count[State.DAMAGED] - len(running),
        queued=sum(run.name in in_queue and run.state is State.OPEN for run in runs),
        damaged=count[State.DAMAGED],
        saved=sum(run.state is State.OPEN for run in saved),
        collapsed=sum(run.collapsed for run in runs),
        runs_per_hour=None if pace is None else 3600 * pace.runs_per_second,
        from_runs=0.0 if pace is None else pace.n_runs,
        seconds_left=_seconds_left(pace, live, count[State.OPEN] + count[State.DAMAGED] - begun),
        ahead=ahead,
        best=best_cells(runs),
        packs=live,
        queue={pack.name: pack.words for pack in queue},
        failures={run.name: run.reason for run in runs if run.state is State.FAILED},
        damages={run.name: run.reason for run in runs if run.state is State.DAMAGED},
        commands=_commands(folder, runs, ahead),
        others=folder.n_others,
        misplaced=folder.misplaced,
    )


def _commands(folder: SweepFolder, runs: Sequence[Run], ahead: Sequence[Ahead]) -> list[str]:
    open_runs = [run for run in runs if run.state in (State.OPEN, State.DAMAGED)]
    return list(dict.fromkeys([*folder.commands(open_runs), *(one.command for one in ahead)]))


def _pace(runs: Sequence[Run], live: Sequence[PackStatus]) -> Pace | None:
    spans = [
        Span(run.ended_at - run.seconds, run.ended_at, 1.0)
        for run in runs
        if run.state is State.FINISHED
    ]
    spans += [
        Span(pack.started_at, pack.noted_at, pack.noted_share * len(pack.runs)) for pack in live
    ]
    return recent_pace(spans, min((pack.noted_at for pack in live), default=float("inf")))


def _seconds_left(pace: Pace | None, live: Sequence[PackStatus], work_left: float) -> float | None:
    """At the pace of all, but not before the slowest pack of now has ended."""
    if pace is None or not live:
        return None
    own = [seconds for pack in live if (seconds := pack.seconds_left) is not None]
    return max([work_left / pace.runs_per_second, *own])
