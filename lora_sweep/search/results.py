"""A study -> what it leaves: the search's record, and `optimization_results.yaml`."""

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeAlias

from omegaconf import OmegaConf
from optuna import Study
from optuna.importance import FanovaImportanceEvaluator, get_param_importances
from optuna.trial import FrozenTrial, TrialState

from lora_sweep.error_lines import first_line
from lora_sweep.files import write_text
from lora_sweep.search.confirm import FOLDERS, SEEDS, best_trials
from lora_sweep.search.pruning import PRUNED_EPOCH
from lora_sweep.store.search_record import Confirmation, TrialRecord

Importances: TypeAlias = tuple[dict[str, float] | None, str | None]
"""Each setting's share in the metric's variance, or None and why there is none."""
NOT_YET: Importances = None, "they are computed when the search ends or is stopped"
RESULTS_FILE = "optimization_results.yaml"
METRICS = "metrics"
ERROR = "error"
METRIC = "metric"
STATUS = {
    TrialState.COMPLETE: "finished",
    TrialState.FAIL: "failed",
    TrialState.PRUNED: "pruned",
    TrialState.RUNNING: "running",
    TrialState.WAITING: "waiting",
}


def trial_record(trial: FrozenTrial) -> TrialRecord:
    """Returns what a search's record says of one trial."""
    attributes = trial.user_attrs
    is_finished = trial.state is TrialState.COMPLETE
    return TrialRecord(
        number=trial.number,
        status=STATUS[trial.state],
        params=dict(trial.params),
        values=tuple(trial.values) if is_finished else None,
        folders=tuple(attributes.get(FOLDERS, ())),
        seeds=tuple(attributes.get(SEEDS, ())),
        metrics=tuple(attributes.get(METRICS, (None for _ in attributes.get(SEEDS, ())))),
        pruned_epoch=attributes.get(PRUNED_EPOCH) if trial.state is TrialState.PRUNED else None,
        error=attributes.get(ERROR),
    )


def objective_names(study: Study) -> tuple[str, ...]:
    """Returns the name of the reported metric, and of the second objective if there is one."""
    return (str(study.user_attrs.get(METRIC, METRIC)), "trained_params")[: len(study.directions)]


def importances(study: Study) -> Importances:
    """Returns each setting's share in the metric's variance (fANOVA), or why there is none."""
    finished = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    if len({tuple(trial.params.values()) for trial in finished}) < 2:
        return None, "fewer than two different settings are finished"
    if len({trial.values[0] for trial in finished}) < 2:
        return None, "all finished trials have the same metric"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            shares = get_param_importances(
                study,
                evaluator=FanovaImportanceEvaluator(seed=0),
                target=lambda trial: float(trial.values[0]),
            )
    except (ValueError, RuntimeError) as error:
        return None, first_line(error)
    return {name: float(share) for name, share in shares.items()}, None


def write_results(sweep_dir: Path, study: Study, confirmed: Sequence[Confirmation]) -> None:
    """Writes `optimization_results.yaml`: the stock sweeper's entries, with trial and folders."""
    single = len(study.directions) == 1
    best = best_trials(study, 1) if single else sorted(study.best_trials, key=lambda t: t.number)
    found = [_entry(trial) for trial in best]
    content: dict[str, Any] = {"name": "optuna", "study": study.study_name}
    if single:
        content |= {"best_params": found[0]["params"], "best_value": found[0]["values"][0]}
        content |= {"best_trial": found[0]}
    else:
        content |= {"solutions": found}
    content["objectives"] = list(objective_names(study))
    content["confirmed"] = [
        {
            "trial": one.number,
            "folders": list(one.folders),
            "seeds": list(one.seeds),
            "metrics": list(one.metrics),
        }
        for one in confirmed
    ]
    write_text(sweep_dir / RESULTS_FILE, OmegaConf.to_yaml(OmegaConf.create(content)))


def _entry(trial: FrozenTrial) -> dict[str, Any]:
    record = trial_record(trial)
    return {
        "trial": record.number,
        "params": dict(record.params),
        "values": list(record.values or ()),
        "folders": list(record.folders),
        "seeds": list(record.seeds),
        "metrics": list(record.metrics),
    }


def best_so_far(study: Study) -> str:
    """Returns the best trial so far in words, or how large the Pareto front is."""
    if not study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,)):
        return "none finished yet"
    if len(study.directions) > 1:
        return f"{len(study.best_trials)} on the Pareto front"
    best = best_trials(study, 1)[0]
    return f"best so far {best.values[0]:.4f}, trial {best.number}"
