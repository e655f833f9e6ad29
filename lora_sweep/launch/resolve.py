"""The sweeper `resolve`: adds seeds to the comparisons that are open, until each is resolved.

    python -m lora_sweep.resolve outputs/SWEEP --max-seeds 30

runs the sweep's own command with this sweeper. Before its first look it writes down what is
compared and when it looks (`resolve.json`), and keeps to that: looks cost level, and their price
must be known beforehand. A comparison that is closed trains no more. Killed, or started from
several processes, it goes on from the runs that are there.
"""

import logging
import shlex
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.core.utils import JobReturn, JobStatus
from omegaconf import DictConfig

from lora_sweep.errors import SettingError, SweepFailedError, TrainingFailedError
from lora_sweep.launch.budget import Budget
from lora_sweep.launch.cells import Cell
from lora_sweep.launch.grids import SETTINGS, GridSweeper, raise_failures, register_sweeper
from lora_sweep.launch.seed_jobs import SeedJobs, job_of
from lora_sweep.report.compare.plan import LOOKS, Plan, read_plan, write_plan
from lora_sweep.report.compare.question import Question
from lora_sweep.rules import require
from lora_sweep.store.looks_made import read_made, write_made
from lora_sweep.store.state import is_done, is_finished
from lora_sweep.store.sweep_list import read_sweep
from lora_sweep.vocabulary import MISSING, RESOLVE
from lora_sweep.words import counted

if TYPE_CHECKING:
    from lora_sweep.report.compare.looks import Progress

log = logging.getLogger(__name__)

NAME = RESOLVE.partition("=")[2]
_Arms = dict[tuple[str, ...], str]


class ResolveSweeper(GridSweeper):
    """Trains seeds look by look, of the arms whose comparisons are open."""

    def __init__(
        self,
        max_seeds: int | None = None,
        looks: Sequence[int] | None = None,
        *,
        any_time: bool | None = None,
        max_runs: int | None = None,
        max_hours: float | None = None,
        **settings: Any,
    ) -> None:
        """Takes what stands under `hydra.sweeper`.

        Args:
            max_seeds: of the last look; None for 30. Looks at any time go on beyond it with
                another command.
            looks: seeds at each look; None for 5, 8, 12, 16, 20, 25, 30 up to max_seeds.
            any_time: look after every seed, by intervals that hold at all times.
            max_runs: runs that this command may train; None for any number.
            max_hours: after which no look is prepared any more; None for no limit.
            settings: as of `GridSweeper`.

        Where a plan was made before, looks and any_time of None are the planned ones.

        Raises:
            SettingError: one breaks its rule.
        """
        super().__init__(**settings)
        self.budget = Budget(max_runs, max_hours, max_seeds)
        self.looks = None if looks is None else tuple(looks)
        self.max_seeds, self.any_time = max_seeds, any_time

    def sweep(self, arguments: list[str]) -> list[Any]:
        """Trains until every comparison is resolved or the budget is spent.

        Runs that failed count as failed. One that did not diverge, which it would do again, is
        tried a second time before its look.

        Raises:
            SettingError: there is nothing to compare, or the plan is another one than before.
            LoraSweepError: as in `GridSweeper`.
            SweepFailedError: some runs have not ended, so that the look can't be made.
        """
        jobs = SeedJobs(self, arguments)
        plan, arms = self._plan(jobs)
        results = list[JobReturn]()
        progress = self._progress(jobs, plan, read_made(self.sweep_dir).seeds)
        while (n := progress.next_look) is not None:
            cells = self._needed(jobs, plan, n, arms, progress.open_arms(plan))
            n_runs = sum(not is_finished(self.sweep_dir / name) for name in _names(cells))
            if (spent := self.budget.spent(n, n_runs)) is not None:
                log.info("the look at %d seeds is not made: %s", n, spent)
                break
            log.info("for a look at %d seeds: %s to train", n, counted(n_runs, "run"))
            self.budget.n_trained += n_runs
            jobs.list_runs(cells)
            write_made(self.sweep_dir, read_made(self.sweep_dir).seeds)  # it is not over
            results += self._train(cells)
            progress = self._look(jobs, plan, n, (cells, results[len(results) - len(cells) :]))
        n_failed = sum(result.status is not JobStatus.COMPLETED for result in results)
        if n_failed:
            log.warning("%s failed, and count so: see the logs", counted(n_failed, "run"))
        return [r.return_value for r in results if r.status is JobStatus.COMPLETED]

    def _plan(self, jobs: SeedJobs) -> tuple[Plan, _Arms]:
        """The plan, kept before the first look; and of each job the name of its arm."""
        plan = self._asked_plan(jobs)
        cells = jobs.cells(plan.seeds(plan.looks[0]))
        rows, plan = _with_pairs(plan, cells)
        arm_of_folder = {f: name for name, folders in rows.items() for f in folders}
        arms = {job_of(cell): arm_of_folder[next(iter(cell.runs))] for cell in cells}
        plan = write_plan(self.sweep_dir, plan)
        jobs.list_runs([*cells, *self._made_cells(jobs, plan)])
        return plan, arms

    def _asked_plan(self, jobs: SeedJobs) -> Plan:
        """The plan without its comparisons."""
        known, looks = read_plan(self.sweep_dir), self.looks
        any_time = self.any_time
        if any_time is None:
            any_time = known is not None and known.any_time
        if any_time:
            self.budget.max_seeds = self.max_seeds or LOOKS[-1]
        if looks is None and known is not None and (self.max_seeds is None or any_time):
            looks = known.looks
        elif looks is None:
            most = self.max_seeds or LOOKS[-1]
            looks = (*(n for n in LOOKS if n < most), most)
        question = Question(**_question(self.master))
        first = jobs.first_seed if known is None else known.first_seed
        plan = Plan(question, [], first, looks, any_time)
        has_room = any_time or self.max_seeds in (None, plan.n_most)
        rule = f"seeds of the last look ({plan.n_most}), or left out"
        require(has_room, "hydra.sweeper.max_seeds", rule, self.max_seeds)
        return Plan(question, [], first, looks[:1], any_time) if any_time else plan

    def _made_cells(self, jobs: SeedJobs, plan: Plan) -> list[Cell]:
        """Cells of the looks that were made, by whichever command."""
        made, listed = read_made(self.sweep_dir).seeds, read_sweep(self.sweep_dir)
        later = plan.seeds(made)[plan.looks[0] :]
        cells = jobs.cells(later) if later else []
        return [cell for cell in cells if listed.keys() & cell.runs.keys()]

    def _needed(
        self, jobs: SeedJobs, plan: Plan, n: int, arms: _Arms, open_arms: Sequence[str]
    ) -> list[Cell]:
        """What is to be trained before a look: seeds of no look that was made, and lost runs."""
        made = read_made(self.sweep_dir).seeds
        is_new = n > made
        seeds = plan.seeds(n)[made:] if is_new else plan.seeds(n)
        cells = [cell for cell in jobs.cells(seeds) if arms[job_of(cell)] in open_arms]
        if is_new:
            return cells
        return [c for c in cells if not all(is_done(self.sweep_dir / name) for name in c.runs)]

    def _train(self, cells: Sequence[Cell]) -> list[JobReturn]:
        """Hydra's record of each cell; what failed but did not diverge was tried twice."""
        results = self._launch(cells)
        again = [
            i
            for i, result in enumerate(results)
            if result.status is not JobStatus.COMPLETED
            and not isinstance(result._return_value, TrainingFailedError)
        ]
        if again:
            log.info("%s failed, and are tried once more", counted(len(again), "run"))
            for i, result in zip(again, self._launch([cells[i] for i in again]), strict=True):
                results[i] = result
        return results

    def _look(
        self,
        jobs: SeedJobs,
        plan: Plan,
        n: int,
        trained: tuple[Sequence[Cell], Sequence[JobReturn]],
    ) -> "Progress":
        """Makes a look whose runs have ended."""
        progress = self._progress(jobs, plan, n)
        if progress.next_look == n:
            cells, results = trained
            raise_failures(results, [cell.title for cell in cells], self.sweep_dir)
            raise SweepFailedError(
                f"the runs for a look at {n} seeds must have ended, but some are open: see "
                f"python -m lora_sweep.status {self.sweep_dir}"
            )
        is_over = progress.next_look is None or not self.budget.has_seeds(progress.next_look)
        write_made(self.sweep_dir, n, is_over=is_over)
        return progress

    def _progress(self, jobs: SeedJobs, plan: Plan, made: int) -> "Progress":
        """What the looks up to one of so many seeds have found."""
        from lora_sweep.report.compare.looks import look
        from lora_sweep.report.table.collect import collect_runs
        from lora_sweep.report.table.planned import planned_arms

        arms = planned_arms(collect_runs(self.sweep_dir, scope=jobs.scope))
        return look(plan, arms, made=made)


def last_lines(config: DictConfig) -> list[str]:
    """Returns how many comparisons are resolved, and the command that goes on where some are open.

    How each of them stands, the report has said.

    Args:
        config: of the sweep, which was started.

    Raises:
        LoraSweepError: its runs or plan can't be read.
    """
    from lora_sweep.report.compare.resolved import ending_lines, read_resolution
    from lora_sweep.report.table.collect import collect_runs

    sweep_dir, sweeper = Path(str(config.hydra.sweep.dir)), config.hydra.sweeper
    resolution = read_resolution(sweep_dir, collect_runs(sweep_dir))
    if resolution is None:
        return []
    command = ["python", "-m", "lora_sweep.resolve", str(sweep_dir)]
    n = resolution.progress.next_look
    if resolution.plan.any_time and n is not None and n > (sweeper.max_seeds or LOOKS[-1]):
        command += ["--max-seeds", str(n + LOOKS[0])]
    elif resolution.plan.any_time and sweeper.max_seeds is not None:
        command += ["--max-seeds", str(sweeper.max_seeds)]
    return ["", *ending_lines(resolution, shlex.join(command))]


def _names(cells: Iterable[Cell]) -> list[str]:
    return [name for cell in cells for name in cell.runs]


def _with_pairs(plan: Plan, cells: Sequence[Cell]) -> tuple[dict[str, list[str]], Plan]:
    """Folders of each arm at the first look, and the plan with the comparisons of these arms."""
    from lora_sweep.report.table.planned import planned_rows
    from lora_sweep.report.table.tidy import checked_settings, to_table

    runs = [
        {"folder": name, "status": MISSING, **checked_settings(settings)}
        for cell in cells
        for name, settings in cell.runs.items()
    ]
    rows, pairs = planned_rows(to_table(runs))
    require(
        bool(pairs),
        "the sweep",
        "one of inits and fixed ranks over the same corpus (add init=fixed)",
        f"{', '.join(rows)} alone",
    )
    for name, own in rows.items():
        if set(own["seed"]) != set(plan.seeds(plan.looks[0])):
            raise SettingError(
                "all seeds of an init must be trained over one corpus, but got another for each "
                f"in {name}: let no setting of data and model follow the seed"
            )
    planned = Plan(plan.question, pairs, plan.first_seed, plan.looks, plan.any_time)
    return {name: own["folder"].tolist() for name, own in rows.items()}, planned


def _question(master: DictConfig) -> dict[str, Any]:
    """What the report's callback asks."""
    asked = master.hydra.callbacks.report
    return {
        "settings": asked.question,
        "equivalence_points": asked.equivalence_points,
        "difference_points": asked.difference_points,
    }


def register() -> None:
    """Makes the sweeper known to Hydra as `hydra/sweeper=resolve`."""
    own = dict.fromkeys(("max_seeds", "looks", "any_time", "max_runs", "max_hours"))
    register_sweeper(NAME, ResolveSweeper, own | SETTINGS)
