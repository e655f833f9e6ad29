"""Builders of a search's record, worked by hand."""

from typing import Any

from lora_sweep.store.search_record import Confirmation, SearchRecord, TrialRecord

METRIC = "matthews_correlation"


def trial(
    number: int, *metrics: float, n_params: int | None = None, **changes: Any
) -> TrialRecord:
    """A finished trial with these metrics of three seeds, the second one being the median.

    Args:
        number: the trial's.
        metrics: of seeds 0, 1, 2 in ascending order; none for a trial without values.
        n_params: trained parameters, in a search with two objectives.
        changes: fields that are otherwise.
    """
    values = (metrics[1], *([] if n_params is None else [float(n_params)])) if metrics else None
    known: dict[str, Any] = {
        "number": number,
        "status": "finished" if metrics else "running",
        "params": {"rank.max": 20 + number, "lr": 0.01 * (1 + number)},
        "values": values,
        "folders": tuple(f"trial{number}-seed{seed}" for seed in range(3)),
        "seeds": (0, 1, 2),
        "metrics": metrics or (None,) * 3,
    }
    return TrialRecord(**(known | changes))


def again(number: int, *metrics: float | None) -> Confirmation:
    """A trial's runs on fresh seeds from 3 on."""
    seeds = tuple(range(3, 3 + len(metrics)))
    folders = tuple(f"trial{number}-seed{seed}" for seed in seeds)
    return Confirmation(number, seeds, folders, metrics)


def search(*trials: TrialRecord, **changes: Any) -> SearchRecord:
    """A search of these trials, with as many objectives as they have values."""
    n = max((len(one.values) for one in trials if one.values is not None), default=1)
    known: dict[str, Any] = {
        "study_name": "s",
        "storage": "sqlite:///s/study.db",
        "sampler": "tpe",
        "pruner": "none",
        "objectives": (METRIC, "trained_params")[:n],
        "directions": ("maximize", "minimize")[:n],
        "n_trials": len(trials),
        "trials": trials,
    }
    return SearchRecord(**(known | changes))
