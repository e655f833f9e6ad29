"""What the ranks did in the learnt runs, in sentences that are written from numbers."""

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from lora_sweep.report.statistics.movement import Movement, movements, thirds
from lora_sweep.report.table.components import component_groups
from lora_sweep.report.table.courses import EARLY_EPOCHS, Course
from lora_sweep.report.table.tidy import has_logits
from lora_sweep.vocabulary import FINISHED


def observation_section(runs: pd.DataFrame, courses: Mapping[str, Course]) -> list[str]:
    """Returns paragraphs on how ranks moved; none without runs that have logits.

    Runs without logits are left out: importance can only cut ranks. Runs whose matrices are not
    the most common ones are left out too, and so are those whose starting ranks are not known.

    Args:
        runs: as from `collect_runs`.
        courses: run folder -> how the run went.
    """
    learnt = runs[(runs["status"] == FINISHED) & has_logits(runs)]
    known = [
        (int(seed), course)
        for folder, seed in zip(learnt["folder"], learnt["seed"], strict=True)
        if (course := courses[folder]).start_ranks is not None
    ]
    if not known:
        return []
    counts = Counter(course.matrices for _, course in known)
    matrices = counts.most_common(1)[0][0]
    own = [(seed, course) for seed, course in known if course.matrices == matrices]
    parts = ["## What the ranks did"]
    for title, groups in (
        ("By depth", thirds(len(matrices))),
        ("By component", component_groups(matrices)),
    ):
        parts.append(_paragraph(title, own, groups))
    return parts


def movement_sentence(movement: Movement) -> str:
    """Returns how a group moved on average, and how sure that is."""
    change = movement.mean_after - movement.mean_before
    size = f"{movement.mean_before:.1f} → {movement.mean_after:.1f}"
    over = f"{movement.n_seeds} seeds, {movement.n_runs} runs, p = {movement.p:.2g}"
    went = "no clear direction"
    if movement.is_clear:
        went = "**up**" if change > 0 else "**down**"
    return f"{movement.group}: {went} ({size}; {over})"


def _paragraph(
    title: str, courses: Sequence[tuple[int, Course]], groups: Mapping[str, Sequence[int]]
) -> str:
    """Both spans of one grouping, as a list."""
    seeds = [seed for seed, _ in courses]
    start = np.array([course.start_ranks for _, course in courses])
    early = np.array([course.early_ranks for _, course in courses])
    final = np.array([course.final_ranks for _, course in courses])
    lines = [f"{title}, mean rank over the first {EARLY_EPOCHS} epochs:", ""]
    lines += [f"- {movement_sentence(m)}" for m in movements(start, early, seeds, groups)]
    if any(len(course.metric) > EARLY_EPOCHS for _, course in courses):
        lines += ["", f"{title}, from the start to the end:", ""]
        lines += [f"- {movement_sentence(m)}" for m in movements(start, final, seeds, groups)]
    return "\n".join(lines)
