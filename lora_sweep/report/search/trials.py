"""A search's record -> its trials as a report shows them: which are best, and how they ended."""

import math
import statistics
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from lora_sweep.store.search_record import STATUSES, SearchRecord, TrialRecord


@dataclass(frozen=True)
class SecondLook:
    """A trial as the search saw it, and on seeds that no trial was chosen by.

    Attributes:
        number: the trial's.
        metrics, fresh_metrics: of its seeds in the search, and of the fresh ones, 0 to 1; None
            where there is none.
        optimism: how much better it looked in the search: median over its seeds minus median over
            the fresh ones, the other way round for a metric that is to be small; 0 to 1. NaN
            while one of them is missing. Source: ours.
    """

    number: int
    metrics: tuple[float | None, ...]
    fresh_metrics: tuple[float | None, ...]
    optimism: float


def setting_names(record: SearchRecord) -> list[str]:
    """Returns the dotted names of the searched settings, in the order of first appearance."""
    return list(dict.fromkeys(name for trial in record.trials for name in trial.params))


def finished_trials(record: SearchRecord) -> list[TrialRecord]:
    """Returns the trials that have values, by number."""
    return sorted((t for t in record.trials if t.values is not None), key=lambda t: t.number)


def best_first(record: SearchRecord) -> list[TrialRecord]:
    """Returns the finished trials, the best one of the metric first, the earlier one of equals.

    Of trials that came to the same runs, the first one stands for all.
    """
    sign = _signs(record)[0]
    return sorted(_different(finished_trials(record)), key=lambda t: sign * _values(t)[0])


def pareto_front(record: SearchRecord) -> list[TrialRecord]:
    """Returns the trials that no other beats in both objectives, ascending by the second.

    A trial beats another if it is at least as good in all objectives, and better in one.
    Of trials that came to the same runs, the first one stands for all.
    """
    trials, signs = _different(finished_trials(record)), _signs(record)
    costs = {t.number: [s * v for s, v in zip(signs, _values(t), strict=True)] for t in trials}
    front = [
        trial
        for trial in trials
        if not any(_beats(other, costs[trial.number]) for other in costs.values())
    ]
    return sorted(front, key=lambda trial: (_values(trial)[-1], trial.number))


def second_looks(record: SearchRecord) -> list[SecondLook]:
    """Returns the trials that were run again on fresh seeds, in the order they were chosen in."""
    trials = {trial.number: trial for trial in record.trials}
    sign = _signs(record)[0]
    return [
        SecondLook(
            number=again.number,
            metrics=trials[again.number].metrics,
            fresh_metrics=again.metrics,
            optimism=sign * (spread(again.metrics)[0] - spread(trials[again.number].metrics)[0]),
        )
        for again in record.confirmed
    ]


def best_again(record: SearchRecord) -> SecondLook | None:
    """Returns the trial with the best median on fresh seeds; None where none is finished."""
    sign = _signs(record)[0]
    looks = [look for look in second_looks(record) if not math.isnan(look.optimism)]
    return min(looks, key=lambda look: sign * spread(look.fresh_metrics)[0], default=None)


def counts(record: SearchRecord) -> dict[str, int]:
    """Returns how many trials have each of `STATUSES`, in that order."""
    found = Counter(trial.status for trial in record.trials)
    return {status: found[status] for status in STATUSES}


def spread(metrics: Sequence[float | None]) -> tuple[float, float]:
    """Returns median and sample std (ddof = 1) of the metrics that are there; NaN without them.

    Args:
        metrics: of a trial's seeds, 0 to 1. A std needs two of them.
    """
    known = [metric for metric in metrics if metric is not None]
    median = statistics.median(known) if known else float("nan")
    return median, statistics.stdev(known) if len(known) > 1 else float("nan")


def _signs(record: SearchRecord) -> list[int]:
    """What makes of each objective one that is to be small."""
    return [-1 if direction == "maximize" else 1 for direction in record.directions]


def _values(trial: TrialRecord) -> tuple[float, ...]:
    assert trial.values is not None
    return trial.values


def _beats(costs: Sequence[float], others: Sequence[float]) -> bool:
    pairs = list(zip(costs, others, strict=True))
    return all(own <= other for own, other in pairs) and any(own < other for own, other in pairs)


def _different(trials: Sequence[TrialRecord]) -> list[TrialRecord]:
    by_runs: dict[tuple[str, ...], TrialRecord] = {}
    for trial in trials:
        # A trial that somebody told by hand has no runs.
        by_runs.setdefault(trial.folders or (f"trial {trial.number}",), trial)
    return list(by_runs.values())
