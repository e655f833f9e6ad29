"""Swept settings that made no difference: what runs vary that are equal in every digit."""

from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd

from lora_sweep.report.table.courses import Course
from lora_sweep.report.table.tidy import setting_names
from lora_sweep.report.text.values import plain
from lora_sweep.vocabulary import FINISHED, ONLY_LEARNT
from lora_sweep.words import listed

_NONE = "null"
Varied = tuple[tuple[str, tuple[str, ...]], ...]
"""Settings that equal runs differ in, each with its values in words."""


def equal_runs_lines(runs: pd.DataFrame, courses: Mapping[str, Course]) -> list[str]:
    """Returns a sentence for all settings in which runs of one seed differ without effect.

    Runs are equal if every loss, metric and rank of every epoch is. One run in two folders is no
    such case.

    Args:
        runs: as from `collect_runs`.
        courses: run folder -> how the run went.
    """
    found: dict[Varied, pd.DataFrame] = {}
    for equal in _equal(runs, courses):
        if varied := _varied(equal):
            found[varied] = pd.concat([found[varied], equal]) if varied in found else equal
    return [_sentence(varied, equal) for varied, equal in found.items()]


def _equal(runs: pd.DataFrame, courses: Mapping[str, Course]) -> Iterator[pd.DataFrame]:
    """Groups of finished runs of one seed that are equal in every digit."""
    finished = runs[runs["status"] == FINISHED]
    numbers = finished["folder"].map({folder: course.digest for folder, course in courses.items()})
    for _, equal in finished.groupby([finished["seed"], numbers], sort=False):
        if equal["fingerprint"].nunique() > 1:
            yield equal


def _varied(equal: pd.DataFrame) -> Varied:
    varied = {
        name: dict.fromkeys(map(_words, equal[name]))
        for name in setting_names(equal)
        if name not in ("seed", "sweep")
    }
    for name, values in varied.items():
        if name.startswith(ONLY_LEARNT):  # fixed ranks among them have none: their init says that
            values.pop(_NONE, None)
    return tuple((name, tuple(values)) for name, values in varied.items() if len(values) > 1)


def _words(value: Any) -> str:
    value = plain(value)
    if value is None:
        return _NONE
    return f"{value:g}" if isinstance(value, float) else str(value)


def _sentence(varied: Varied, equal: pd.DataFrame) -> str:
    named = ", ".join(f"{name} {listed(values)}" for name, values in varied)
    seeds = sorted(set(equal["seed"]))
    of = f"{'seed' if len(seeds) == 1 else 'seeds'} {listed(list(map(str, seeds)))}"
    return f"{named} gave equal runs in every digit: {len(equal)} runs with {of}."
