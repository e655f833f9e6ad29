"""What the ranks did in the learnt runs, in sentences that are written from numbers."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from lora_sweep.errors import RecordError
from lora_sweep.report.collect import FINISHED
from lora_sweep.report.components import component_groups
from lora_sweep.report.statistics.movement import Movement, movements, thirds
from lora_sweep.report.summarise import FIXED
from lora_sweep.runs.record import RESULT_FILE, RunRecord, read_result
from lora_sweep.runs.store import HISTORY_FILE

EARLY_EPOCHS = 2
"""The study looked at the first two epochs."""


def read_start_ranks(folder: Path) -> list[float] | None:
    """Returns the ranks before the first step, from a run's history; None if it has none.

    Raises:
        RecordError: the history's first line can't be read.
    """
    path = folder / HISTORY_FILE
    if not path.exists():
        return None
    with path.open(encoding="utf-8") as stream:
        line = stream.readline()
    try:
        entry = json.loads(line)
        if entry["kind"] != "ranks" or entry["step"] != 0:
            return None
        return [float(rank) for rank in entry["ranks"]]
    except (ValueError, KeyError, TypeError) as error:
        raise RecordError(f"{path} can't be read: {error}") from error


def observation_section(sweep_dir: Path, runs: pd.DataFrame) -> list[str]:
    """Returns paragraphs on how ranks moved; none without learnt runs.

    Runs whose matrices are not the most common ones are left out, and so are unreadable histories.

    Args:
        sweep_dir: the folder that the run folders lie in.
        runs: as from `collect_runs`.
    """
    learnt = runs[(runs["status"] == FINISHED) & (runs["init"] != FIXED)]
    read = [_ranks_of(sweep_dir / folder) for folder in learnt["folder"]]
    known = [entry for entry in read if entry is not None]
    if not known:
        return []
    names = [tuple(record.matrices) for record, _ in known]
    matrices = max(set(names), key=names.count)
    own = [entry for entry, name in zip(known, names, strict=True) if name == matrices]
    start = np.array([ranks for _, ranks in own])
    parts = ["## What the ranks did"]
    for title, groups in (
        ("By depth", thirds(len(matrices))),
        ("By component", component_groups(matrices)),
    ):
        parts.append(_paragraph(title, [record for record, _ in own], start, groups))
    return parts


def movement_sentence(movement: Movement) -> str:
    """Returns how a group moved, and in how many runs."""
    change = movement.mean_after - movement.mean_before
    size = f"{movement.mean_before:.1f} → {movement.mean_after:.1f}"
    counts = f"up in {movement.n_up}, down in {movement.n_down} of {movement.n_runs} runs"
    if not movement.is_clear:
        return f"{movement.group}: no clear direction ({size}; {counts})"
    # The mean over all runs may go against most of them; what most did is what is said.
    went = "up" if movement.n_up > movement.n_down else "down"
    against = "" if (change > 0) == (went == "up") else ", though not on average"
    return f"{movement.group}: **{went}**{against} ({size}; {counts})"


def _ranks_of(folder: Path) -> tuple[RunRecord, list[float]] | None:
    try:
        record, start = read_result(folder / RESULT_FILE), read_start_ranks(folder)
    except RecordError:
        return None
    if start is None or len(start) != len(record.matrices):
        return None
    return record, start


def _paragraph(
    title: str,
    records: Sequence[RunRecord],
    start: "np.ndarray[tuple[int, ...], np.dtype[np.float64]]",
    groups: Mapping[str, Sequence[int]],
) -> str:
    """Both spans of one grouping, as a list."""
    early = np.array([_after(record, EARLY_EPOCHS) for record in records])
    final = np.array([record.epochs[-1].ranks for record in records])
    lines = [f"{title}, mean rank over the first {EARLY_EPOCHS} epochs:", ""]
    lines += [f"- {movement_sentence(m)}" for m in movements(start, early, groups)]
    if any(len(record.epochs) > EARLY_EPOCHS for record in records):
        lines += ["", f"{title}, from the start to the end:", ""]
        lines += [f"- {movement_sentence(m)}" for m in movements(start, final, groups)]
    return "\n".join(lines)


def _after(record: RunRecord, n_epochs: int) -> list[float]:
    return record.epochs[min(n_epochs, len(record.epochs)) - 1].ranks
