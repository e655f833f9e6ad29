"""One pack: runs that train together, from the beginning or from where they stood."""

import logging
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass

from lora_sweep.config.run import cell_name
from lora_sweep.errors import CorpusError, PrunedError, TrainingFailedError
from lora_sweep.execution.calibration import Measured, calibrate
from lora_sweep.execution.display import Display
from lora_sweep.execution.freed_memory import keep_freed_memory
from lora_sweep.execution.inputs import (
    base_folder,
    load_adapted_encoder,
    load_corpus,
    load_texts,
)
from lora_sweep.execution.job import Job, Outcome
from lora_sweep.execution.origin import RunOrigin, device_name, git_commit, versions
from lora_sweep.execution.pack_recorder import PackRecorder
from lora_sweep.execution.plans import calibrated, pack_plan
from lora_sweep.execution.processor import say_which_precision_is_faster
from lora_sweep.execution.protocols import StopPolicy
from lora_sweep.execution.run_recorder import RunRecorder
from lora_sweep.interrupt import StoppedError, stop_on_signals
from lora_sweep.store.calibration import CalibrationRecord
from lora_sweep.store.checkpoint import Checkpoint, common_place, places, read_checkpoint
from lora_sweep.store.claims import Claim
from lora_sweep.store.predictions import DevLabels
from lora_sweep.store.run_log import log_to
from lora_sweep.store.sweep_list import count_runs
from lora_sweep.trackers.tracker import start_tracker
from lora_sweep.training.costs import rank_costs
from lora_sweep.training.encoder import AdaptedEncoder
from lora_sweep.training.loop import train_pack
from lora_sweep.training.pack import PackTexts
from lora_sweep.training.parameters import count_trained
from lora_sweep.training.plan import PackPlan, RunPlan
from lora_sweep.words import counted

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Shared:
    """What the runs of a pack train over."""

    encoder: AdaptedEncoder
    texts: PackTexts
    plan: PackPlan


def load_shared(jobs: Sequence[Job]) -> Shared:
    """Returns base, tokens and plan; the base is factorised for the largest rank of all.

    Raises:
        CorpusError: the corpus is not any more the one that the runs were named by.
    """
    config = max((job.config for job in jobs), key=lambda config: config.rank.max)
    base, plan = base_folder(config), pack_plan(config)
    if plan.device.type == "cpu":
        keep_freed_memory()
        say_which_precision_is_faster(config.precision)
    factors = ", and the factors of its matrices" if config.adapter_kind().has_factors else ""
    log.info("loading %s%s", base.name, factors)
    _check_corpus(jobs)
    return Shared(load_adapted_encoder(config, base, plan.device), load_texts(config, base), plan)


def _check_corpus(jobs: Sequence[Job]) -> None:
    """Checks that nobody has written the files anew since the runs were named."""
    data = jobs[0].config.data
    if load_corpus(data).fingerprint != jobs[0].corpus_fingerprint:
        raise CorpusError(
            f"data={data.name} must stay as it was when the command began, but got files with "
            "another content: choose another paths.sweep=NAME for them"
        )


def train_together(
    jobs: Sequence[Job],
    shared: Shared,
    claim: Claim,
    stop_policy: StopPolicy | None = None,
) -> list[Outcome]:
    """Trains compatible runs to their end, and returns what became of each, in order.

    Runs that have checkpoints go on from the last place that all of them have. Without one in
    common, those that stand at the same place go on together.

    Args:
        jobs: the runs; none is finished.
        shared: what they train over.
        claim: that this process has on their pack.
        stop_policy: decides which runs end early; None for none.

    Raises:
        StoppedError: a signal came; all that trained is saved.
        ClaimedElsewhereError: another process has taken the runs over.
        StorageError: something can't be written.
    """
    outcomes: dict[str, Outcome] = {}
    for group in _resumable_groups(jobs):
        trained = _train(group, shared, claim, stop_policy)
        outcomes |= {job.name: one for (job, _), one in zip(group, trained, strict=True)}
    return [outcomes[job.name] for job in jobs]


def plans_of(jobs: Sequence[Job], shared: Shared) -> list[RunPlan]:
    """Returns the numbers that runs train by from their beginning, in order.

    Args:
        jobs: the runs.
        shared: what they train over, and what is measured for those whose ranks come from data.
    """
    return [_with_ranks(job, _calibration(job, None, shared), shared) for job in jobs]


def _calibration(
    job: Job, checkpoint: Checkpoint | None, shared: Shared
) -> CalibrationRecord | None:
    """Ranks from the data: those that the run has begun with, if it has."""
    if not job.config.calibrates:
        return None
    if checkpoint is not None and checkpoint.calibration is not None:
        return checkpoint.calibration
    device = shared.plan.device
    measured = Measured(shared.encoder, shared.texts, job.model_fingerprint, device)
    return calibrate(job.config, job.plan, measured)


def _with_ranks(job: Job, calibration: CalibrationRecord | None, shared: Shared) -> RunPlan:
    if calibration is None:
        return job.plan
    costs = rank_costs(job.plan.adapter, shared.encoder.shapes)
    return calibrated(job.plan, calibration.ranks, costs, freeze=job.config.init.freeze)


def _resumable_groups(jobs: Sequence[Job]) -> list[list[tuple[Job, Checkpoint | None]]]:
    """Runs with the checkpoints from which they can go on together; None is the beginning."""
    while True:
        of_runs = [places(job.folder.checkpoints) for job in jobs]
        common = common_place(of_runs)
        targets = [common or max(own, default=None) for own in of_runs]
        read = [
            None if at is None else read_checkpoint(job.folder.checkpoints, at, job.fingerprint)
            for job, at in zip(jobs, targets, strict=True)
        ]
        if all((at is None) == (one is None) for at, one in zip(targets, read, strict=True)):
            break  # else a damaged one was set aside: look again
    groups: dict[object, list[tuple[Job, Checkpoint | None]]] = {}
    for job, at, checkpoint in zip(jobs, targets, read, strict=True):
        groups.setdefault(at, []).append((job, checkpoint))
    return list(groups.values())


def _train(
    group: Sequence[tuple[Job, Checkpoint | None]],
    shared: Shared,
    claim: Claim,
    stop_policy: StopPolicy | None,
) -> list[Outcome]:
    """Trains runs that stand at the same place."""
    jobs = [job for job, _ in group]
    calibrations = [_calibration(job, checkpoint, shared) for job, checkpoint in group]
    plans = [_with_ranks(job, own, shared) for job, own in zip(jobs, calibrations, strict=True)]
    origins = [
        _origin(job, plan, own, shared)
        for job, plan, own in zip(jobs, plans, calibrations, strict=True)
    ]
    snapshots = [checkpoint.snapshot for _, checkpoint in group if checkpoint is not None]
    n_done = snapshots[0].step if snapshots else 0
    n_steps = shared.plan.length(len(shared.texts.train)).n_steps
    with ExitStack() as stack:
        recorders = [
            stack.enter_context(_recorded(job, checkpoint, shared, origin))
            for (job, checkpoint), origin in zip(group, origins, strict=True)
        ]
        for note in dict.fromkeys(job.note for job in jobs if job.note is not None):
            log.info(note)
        if n_done:
            who = counted(len(jobs), "run", verb=("goes", "go"))
            log.info("%s on after step %d of %d", who, n_done, n_steps)
        display = stack.enter_context(Display(_title(jobs), n_steps, unit="step", done=n_done))
        stop = stack.enter_context(stop_on_signals())
        recorder = PackRecorder(
            recorders,
            display,
            step=n_done,
            stop=stop,
            claim=claim,
            stop_policy=stop_policy,
        )
        is_done = train_pack(
            shared.encoder, shared.texts, plans, shared.plan, recorder, start=snapshots
        )
        if not is_done:
            assert stop.signal_number is not None
            said = _stopped(recorder.step, n_steps, len(jobs))
            raise StoppedError(stop.signal_number, said, recorder.step - n_done)
        recorder.finish()
    return [one.record or _early_end(one) for one in recorders]


@contextmanager
def _recorded(
    job: Job, checkpoint: Checkpoint | None, shared: Shared, origin: RunOrigin
) -> Iterator[RunRecorder]:
    """The recorder of a run, whose folder is made ready and whose log is written meanwhile."""
    if checkpoint is None:
        job.folder.start(job.settings, job.config_yaml(), job.command)
    else:
        job.folder.ready()
    with log_to(job.folder.path):
        name, cell = job.config.tracker.name, cell_name(job.settings)
        with closing(start_tracker(name, job.folder.path, job.settings, cell)) as tracker:
            yield RunRecorder(
                job.folder,
                origin,
                _dev_labels(shared.texts),
                checkpoint=checkpoint,
                tracker=tracker,
            )


def _stopped(step: int, n_steps: int, n_runs: int) -> str:
    runs = "the run is" if n_runs == 1 else f"its {n_runs} runs are"
    return (
        f"stopped after step {step} of {n_steps}, {runs} saved: the same command goes on from "
        "there"
    )


def _early_end(recorder: RunRecorder) -> Exception:
    name = recorder.folder.path.name
    if recorder.pruned is not None:
        return PrunedError(f"{name}: {recorder.pruned.reason}")
    return TrainingFailedError(f"{name}: {recorder.error}")


def _origin(
    job: Job, plan: RunPlan, calibration: CalibrationRecord | None, shared: Shared
) -> RunOrigin:
    n_trained = count_trained(
        plan,
        shapes=shared.encoder.shapes,
        d=shared.encoder.d,
        n_labels=shared.texts.n_labels,
    )
    return RunOrigin(
        settings=job.settings,
        fingerprint=job.fingerprint,
        model_fingerprint=job.model_fingerprint,
        corpus_fingerprint=job.corpus_fingerprint,
        metric=shared.texts.metrics[0],
        matrices=list(shared.encoder.layers),
        n_trained_params=n_trained,
        device=device_name(shared.plan.device),
        versions=versions(),
        git_commit=git_commit(),
        label_names=list(shared.texts.label_names),
        calibration=calibration,
        rank_units=_rank_units(plan, shared),
    )


def _rank_units(plan: RunPlan, shared: Shared) -> list[int] | None:
    """What a rank costs in each matrix, where costs are in proportion to it."""
    costs = rank_costs(plan.adapter, shared.encoder.shapes)
    return list(costs.units or ()) if costs.power == 1 else None


def _dev_labels(texts: PackTexts) -> DevLabels:
    parts = {name: part.labels.numpy() for name, part in texts.dev.items()}
    return DevLabels(parts, texts.headline_parts)


def _title(jobs: Sequence[Job]) -> str:
    """What the progress is of: `NAME (3 of 24 done)`, or `8 runs (3 of 24 done)`."""
    path = jobs[0].folder.path
    n_done, n_runs = count_runs(path.parent, [job.name for job in jobs])
    what = path.name.rpartition("-")[0] if len(jobs) == 1 else f"{len(jobs)} runs"
    return what if n_runs == 1 else f"{what} ({n_done} of {n_runs} done)"
