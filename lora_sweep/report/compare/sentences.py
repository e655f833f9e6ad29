"""Comparison -> Markdown that a newcomer understands: every number with what it means."""

import math
from collections.abc import Sequence

from lora_sweep.report.compare.comparison import Comparison, InitEffect, Line, seeds_needed
from lora_sweep.report.compare.question import TUNED, Question
from lora_sweep.report.statistics.paired import EQUIVALENT, NOT_RESOLVED
from lora_sweep.report.statistics.selection import SelectionPremium
from lora_sweep.report.table.labels import init_words
from lora_sweep.report.text.markdown import to_markdown
from lora_sweep.report.text.table import SEEDS, Table
from lora_sweep.report.text.values import escape_markdown, signed_points

_HEADING = "Which init is better?"
_INTERVAL = "95 % interval"
SHORT_COLUMNS = frozenset(("Init", "Baseline", SEEDS, "Difference", _INTERVAL, "Verdict", "Why"))
"""What a verdict is, the difference that it rests on, and whether looks go on."""
_QUESTIONS = {
    TUNED: """\
Asked: is the init better once its settings are tuned? The value of a seed is its mean over the
settings that the seeds before it could not tell from their best (within one standard error), so
nothing is judged by the value that chose it. Failed runs are counted at these settings alone.""",
    "mean": """\
Asked: is the init better whatever the setting? The value of a seed is its mean over all
settings.""",
}
_READ_LINES = """\
How to read this. Difference: mean over the seeds of init minus baseline, in points, each seed
against itself, where both have trained; the median of the same differences beside it, for the
tables show medians. Interval: where the true mean difference lies, 95 times in 100 (t, from these
seeds alone). Verdict: «better» and «worse» say that the true difference is more than {region:g}
points, «equivalent» that it is less; p is that of the claim, made larger because several
comparisons were made (Holm{over}), with spreads that the comparisons share in part. Each kind of
claim is false in at most 5 of 100 sweeps. All else is «not resolved», which is not the same as
equal. Failed: runs that collapsed or ended without a result; how often an init fails is a question
of its own. Seeds needed: to find a true difference of {difference:g} points four times in five."""
_GREW = """\
This sweep was asked for in {n} commands. The p count no looks: who adds seeds until a difference
shows finds one in more than 5 of 100 sweeps without any. `lora-sweep resolve` plans its looks."""
_RESOLVED = """\
The p count no looks: the claims of this sweep's planned looks stand under «What is resolved?»."""


def comparison_section(
    comparisons: list[Comparison], *, n_commands: int = 1, has_plan: bool = False
) -> list[str]:
    """Returns paragraphs of Markdown; none where nothing can be compared.

    Args:
        comparisons: as from `compare_inits`.
        n_commands: that the sweep was asked for with.
        has_plan: whether its looks were planned.
    """
    parts: list[str] = []
    for comparison in comparisons:
        said = _said(comparison)
        if said:
            parts += [f"## {escape_markdown(_title(comparison, comparisons))}", *said]
    if any(comparison.lines for comparison in comparisons) and (has_plan or n_commands > 1):
        looks = _RESOLVED if has_plan else _GREW.format(n=n_commands)
        parts.append(" ".join(looks.split()))
    return parts


def verdict_tables(comparisons: list[Comparison]) -> list[Table]:
    """Returns the table of each comparison that has lines."""
    return [
        line_table(one.lines, one.question, title=_title(one, comparisons), n_lines=one.n_lines)
        for one in comparisons
        if one.lines
    ]


def verdict_words(claim: str, fails_more: bool | None) -> str:
    """Returns the claim, never a bare one where the init fails more or less often.

    Args:
        claim: on the difference where both train.
        fails_more: whether the init fails more often; None where it is not shown to differ.
    """
    if fails_more is None:
        return claim
    often = "more often" if fails_more else "less often"
    if claim == NOT_RESOLVED:
        return f"fails {often}; not resolved where both train"
    joined = "and" if fails_more == (claim == "worse") else "but"
    return f"{claim} where both train, {joined if claim != EQUIVALENT else 'but'} fails {often}"


def line_table(
    lines: Sequence[Line],
    question: Question,
    *,
    title: str = _HEADING,
    n_lines: int | None = None,
) -> Table:
    """Returns the comparisons as a table.

    Args:
        lines: of one family, so that their p count each other.
        question: what was asked.
        title: the table's heading.
        n_lines: of the family, where other tables have a part of it.
    """
    has_failed = any(line.failures.init[0] or line.failures.baseline[0] for line in lines)
    rows = []
    for line in lines:
        d = line.paired
        needed = seeds_needed(line, question, n_lines=n_lines or len(lines))
        row = (
            init_words(line.init),
            line.baseline,
            line.n_settings,
            len(d.differences),
            signed_points(d.mean),
            signed_points(d.median),
            "-" if math.isinf(d.low) else f"{d.low:+.2f} to {d.high:+.2f}",
            verdict_words(line.verdict.claim, line.fails_more),
            f"{line.verdict.p:.3g}",
            "-" if needed is None else str(needed),
        )
        rows.append((*row, _counts(line), f"{line.failures_p:.3g}") if has_failed else row)
    headers = (
        "Init", "Baseline", "Settings", SEEDS, "Difference", "Median", _INTERVAL, "Verdict", "p",
        f"Seeds needed ({question.difference_points:g} points)",
    )  # fmt: skip
    return Table(
        title=title,
        columns=(*headers, "Failed, init and baseline", "p of failing") if has_failed else headers,
        rows=tuple(rows),
        settings=("Init", "Baseline"),
        kept=("Init", "Baseline", "Difference", "Median", _INTERVAL, "Verdict", "p"),
    )


def how_to_read(question: Question, *, over: str = "") -> str:
    """Returns how the columns of a table of comparisons are read.

    Args:
        question: what was asked.
        over: what the correction is over, behind its name; nothing for the table's own lines.
    """
    region, difference = question.equivalence_points, question.difference_points
    return " ".join(_READ_LINES.format(region=region, difference=difference, over=over).split())


def _title(comparison: Comparison, among: list[Comparison]) -> str:
    return _HEADING + (f" ({comparison.group})" if len(among) > 1 else "")


def _said(comparison: Comparison) -> list[str]:
    parts, question = [], comparison.question
    if comparison.lines:
        n_lines = comparison.n_lines
        over = f", over the {n_lines} of all groups" if n_lines > len(comparison.lines) else ""
        how = how_to_read(question, over=over)
        if any(line.n_settings > 1 for line in comparison.lines):
            how = f"{_QUESTIONS[question.settings]} {how}"
        table = line_table(comparison.lines, question, n_lines=n_lines)
        parts += [to_markdown(table), " ".join(how.split())]
    if comparison.effect is not None:
        parts.append(_effect(comparison.effect))
    if comparison.premium is not None:
        parts.append(_premium(comparison.premium))
    if len(comparison.best_of) > 1:
        parts.append(_best_of(comparison.best_of))
    return parts


def _counts(line: Line) -> str:
    (init, of_init), (baseline, of_baseline) = line.failures.init, line.failures.baseline
    return f"{init} of {of_init} against {baseline} of {of_baseline}"


def _seeds(n: int) -> str:
    return f"{n} seed" if n == 1 else f"{n} seeds"


def _effect(effect: InitEffect) -> str:
    init, distance = effect.farthest
    found = "does" if effect.p <= 0.05 else "is not shown to"
    settings = "" if effect.n_settings == 1 else f", each over {effect.n_settings} settings"
    return (
        f"{escape_markdown(init_words(init))} lies farthest from the mean of all inits, by "
        f"{distance:+.2f} points ({_seeds(effect.n_seeds)}{settings}). "
        f"Over the whole grid, the init {found} matter: had the inits' names been dealt out at "
        f"random within each seed, some init would lie as far from the mean of all in "
        f"{_percent(effect.p)} of such deals (p = {effect.p:.3g})."
    )


def _premium(premium: SelectionPremium) -> str:
    found = "stands out" if premium.p <= 0.05 else "is not shown to stand out"
    fewest, most = premium.n_seeds
    seeds = _seeds(most) if fewest == most else f"{fewest} to {_seeds(most)}"
    return (
        f"Of the {premium.n_cells} learnt cells with settings and seeds that all inits share, the "
        f"best stands {premium.observed:.2f} points above the mean of their medians ({seeds} a "
        f"cell, without failed runs). Were they all equal, the best would still stand "
        f"{premium.expected:.2f} above it by chance, and over {premium.upper:.2f} once in twenty "
        f"times: so it {found} more than chance does (p = {premium.p:.3g})."
    )


def _best_of(best_of: tuple[tuple[int, float], ...]) -> str:
    values = ", ".join(f"{value:.2f} of {n}" for n, value in best_of)
    return (
        f"Expected best metric of so many learnt runs, drawn from those seen: {values}. Who runs "
        "more, reports more: compare only bests of equally many runs."
    )


def _percent(p: float) -> str:
    return "under 0.1 %" if p < 0.001 else f"{100 * p:.1f} %"
