"""When a search ends without a result: too many trials failed, or none finished."""

from pathlib import Path

from optuna import Study
from optuna.trial import FrozenTrial, TrialState

from lora_sweep.errors import SweepFailedError
from lora_sweep.search.results import ERROR
from lora_sweep.words import counted


def check_failures(study: Study, sweep_dir: Path, *, max_failures: int) -> None:
    """Checks that no more trials failed than are put up with.

    Args:
        study: Optuna's.
        sweep_dir: the sweep's folder.
        max_failures: failed trials that are put up with.

    Raises:
        SweepFailedError: more did.
    """
    failed = _failed(study)
    if len(failed) > max_failures:
        raise SweepFailedError(
            f"{counted(len(failed), 'trial')} of the search failed, "
            f"hydra.sweeper.max_failures={max_failures}\n"
            f"first: trial {failed[0].number}: {failed[0].user_attrs.get(ERROR)}\n"
            f"see the runs' logs in {sweep_dir}; a larger "
            "hydra.sweeper.max_failures goes on"
        )


def check_some_finished(study: Study) -> None:
    """Checks that a trial finished.

    Raises:
        SweepFailedError: none did.
    """
    if study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,)):
        return
    failed = _failed(study)
    first = f"\nfirst: trial {failed[0].number}: {failed[0].user_attrs.get(ERROR)}"
    raise SweepFailedError(
        f"no trial of the search finished: {len(failed)} failed, "
        f"the others were pruned{first if failed else ''}"
    )


def _failed(study: Study) -> list[FrozenTrial]:
    return study.get_trials(deepcopy=False, states=(TrialState.FAIL,))
