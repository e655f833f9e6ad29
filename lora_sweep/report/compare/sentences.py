"""Comparison -> Markdown that a newcomer understands: every number with what it means."""

import math

from tabulate import tabulate

from lora_sweep.report.compare.comparison import Comparison, Line
from lora_sweep.report.pages.tables import escape_markdown, init_words
from lora_sweep.report.statistics.selection import SelectionPremium

_READ_LINES = """\
How to read this. Difference: mean over the seeds of init minus baseline, in points, each seed
against itself. Where an init was run with several settings, the one for a seed is chosen by the
other seeds, so nothing is judged by the value that chose it. Interval: where the true
difference lies, 95 times in 100 (t). P(init > baseline): how often a run of the init beats one
of the baseline; 50 % is no difference. Exact p: how often signs flipped at random give as large
a mean; with so many seeds it can't be smaller than the value behind it. Holm p: of the t test,
made larger because several comparisons were made. The verdict is «better» or «worse» if Holm's
p is at most 0.05 and the difference is larger than {region:g} points. All else is «not
resolved», which is not the same as equal. Seeds needed: to find a difference of this size four
times in five."""


def comparison_section(comparisons: list[Comparison]) -> list[str]:
    """Returns paragraphs of Markdown; none where nothing can be compared."""
    parts: list[str] = []
    for comparison in comparisons:
        said = _said(comparison)
        if said:
            where = f" ({escape_markdown(comparison.group)})" if len(comparisons) > 1 else ""
            parts += [f"## Which init is better?{where}", *said]
    return parts


def verdict_lines(comparisons: list[Comparison], init: str) -> list[str]:
    """Returns the verdicts on one init as a list in Markdown; none without a baseline."""
    lines = [line for comparison in comparisons for line in comparison.lines]
    said = [f"- {verdict_sentence(line)}" for line in lines if line.init == init]
    return ["\n".join(said)] if said else []


def verdict_sentence(line: Line) -> str:
    """Returns the verdict on one init against one baseline."""
    d = line.paired
    name = escape_markdown(init_words(line.init))
    against = f"{name} against {escape_markdown(line.baseline)}"
    if math.isinf(d.std_error):
        return f"{against}: not resolved, for so few seeds show no spread."
    return (
        f"{against}: **{line.verdict}** ({d.mean:+.2f} points, "
        f"95 % interval {d.low:+.2f} to {d.high:+.2f}, {len(d.differences)} seeds)."
    )


def _said(comparison: Comparison) -> list[str]:
    parts = []
    if comparison.lines:
        parts += [
            line_table(comparison.lines),
            " ".join(_READ_LINES.format(region=comparison.region).split()),
        ]
    if comparison.effect_p is not None:
        parts.append(_effect(comparison))
    if comparison.premium is not None:
        parts.append(_premium(comparison.premium))
    if len(comparison.best_of) > 1:
        parts.append(_best_of(comparison.best_of))
    if comparison.n_left_out and comparison.lines:
        parts.append(
            f"{comparison.n_left_out} finished runs are left out of the comparisons, for other "
            "cells of their init lack their seed."
        )
    return parts


def line_table(lines: tuple[Line, ...]) -> str:
    """Returns the comparisons as a table in Markdown."""
    rows = [
        [
            escape_markdown(init_words(line.init)),
            escape_markdown(line.baseline),
            line.n_settings,
            len(line.paired.differences),
            f"{line.paired.mean:+.2f}",
            _interval(line),
            f"{100 * line.paired.superiority:.0f} %",
            f"{line.paired.p_exact:.3g} (≥ {line.paired.smallest_p:.2g})",
            f"{line.adjusted_p:.3g}",
            line.verdict,
            "-" if line.seeds_needed is None else str(line.seeds_needed),
        ]
        for line in lines
    ]
    headers = [
        "Init", "Baseline", "Settings", "Seeds", "Difference", "95 % interval",
        "P(init > baseline)", "Exact p", "Holm p", "Verdict", "Seeds needed",
    ]  # fmt: skip
    return tabulate(rows, headers=headers, tablefmt="pipe", disable_numparse=True)


def _interval(line: Line) -> str:
    if math.isinf(line.paired.low):
        return "-"
    return f"{line.paired.low:+.2f} to {line.paired.high:+.2f}"


def _effect(comparison: Comparison) -> str:
    assert comparison.effect_p is not None and comparison.farthest is not None
    p, n_blocks = comparison.effect_p, comparison.n_blocks
    init, distance = comparison.farthest
    found = "does" if p <= 0.05 else "is not shown to"
    return (
        f"{escape_markdown(init_words(init))} lies farthest from the mean of all inits, by "
        f"{distance:+.2f} points. "
        f"Over the whole grid, the init {found} matter: had the inits' names been dealt out at "
        f"random within each seed and setting ({n_blocks} of them), some init would lie as far "
        f"from the mean of all in {_percent(p)} of such deals (p = {p:.3g})."
    )


def _premium(premium: SelectionPremium) -> str:
    known = "more than" if premium.p <= 0.05 else "no more than"
    return (
        f"The best of {premium.n_cells} learnt cells stands {premium.observed:.2f} points above "
        f"their mean. Were they all equal, the best would still stand {premium.expected:.2f} "
        f"above it by chance, and over {premium.upper:.2f} once in twenty times: so it stands out "
        f"{known} chance does (p = {premium.p:.3g})."
    )


def _best_of(best_of: tuple[tuple[int, float], ...]) -> str:
    values = ", ".join(f"{value:.2f} of {n}" for n, value in best_of)
    return (
        f"Expected best metric of so many learnt runs, drawn from those seen: {values}. Who runs "
        "more, reports more: compare only bests of equally many runs."
    )


def _percent(p: float) -> str:
    return "under 0.1 %" if p < 0.001 else f"{100 * p:.1f} %"
