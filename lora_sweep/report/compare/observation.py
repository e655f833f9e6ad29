"""What the ranks did in the learnt runs, in sentences that are written from numbers."""

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from lora_sweep.report.statistics.movement import Movement, movements, thirds
from lora_sweep.report.table.components import component_groups
from lora_sweep.report.table.courses import EARLY_EPOCHS, Course
from lora_sweep.report.table.tidy import WITHOUT_LOGITS
from lora_sweep.vocabulary import FINISHED


def observation_section(runs: pd.DataFrame, courses: Mapping[str, Course]) -> list[str]:
    """Returns paragraphs on how ranks moved; none without runs that have logits.

    Runs without logits are left out: importance can only cut ranks. Runs whose matrices are not
    the most common ones are left out too, and so are those whose starting ranks are not known.

    Args:
        runs: as from `collect_runs`.
        courses: run folder -> how the run went.
    """
    learnt = runs.loc[(runs["status"] == FINISHED) & ~runs["init"].isin(WITHOUT_LOGITS), "folder"]
    known = [course for f in learnt if (course := courses[f]).start_ranks is not None]
    if not known:
        return []
    counts = Counter(course.matrices for course in known)
    matrices = counts.most_common(1)[0][0]
    own = [course for course in known if course.matrices == matrices]
    parts = ["## What the ranks did"]
    for title, groups in (
        ("By depth", thirds(len(matrices))),
        ("By component", component_groups(matrices)),
    ):
        parts.append(_paragraph(title, own, groups))
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


def _paragraph(title: str, courses: Sequence[Course], groups: Mapping[str, Sequence[int]]) -> str:
    """Both spans of one grouping, as a list."""
    start = np.array([course.start_ranks for course in courses])
    early = np.array([course.early_ranks for course in courses])
    final = np.array([course.final_ranks for course in courses])
    lines = [f"{title}, mean rank over the first {EARLY_EPOCHS} epochs:", ""]
    lines += [f"- {movement_sentence(m)}" for m in movements(start, early, groups)]
    if any(len(course.metric) > EARLY_EPOCHS for course in courses):
        lines += ["", f"{title}, from the start to the end:", ""]
        lines += [f"- {movement_sentence(m)}" for m in movements(start, final, groups)]
    return "\n".join(lines)
