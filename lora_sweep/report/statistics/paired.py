"""Differences of an init and a baseline, seed by seed -> size, interval, and verdict."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy import special

from lora_sweep.report.statistics.moderation import moderate_variances

Array = NDArray[np.float64]
CONFIDENCE = 0.95
ALPHA = 0.05
CLAIMS = (BETTER, WORSE, EQUIVALENT) = ("better", "worse", "equivalent")
NOT_RESOLVED = "not resolved"
_ROUNDING = 1e-9
"""Values that differ by no more are one value: 16/18 - 15/18 is not 14/18 - 13/18 in floats."""


@dataclass(frozen=True)
class PairedComparison:
    """An init against a baseline, seed by seed.

    Attributes:
        differences: init minus baseline of each pair (n,), in the unit of the values.
        mean, median: of the differences; NaN without pairs.
        low, high: 95 % t interval of the mean, of these pairs alone; infinite where they show no
            spread.
        spread: moderated standard deviation of the differences; NaN where they show none.
        df: its degrees of freedom.
        p_better: of «the true difference is at most the region»; one-sided, as the next.
        p_worse: of «it is at least minus the region».
        p_equivalent: of «it lies outside the region», the larger of two one-sided p.
    """

    differences: tuple[float, ...]
    mean: float
    median: float
    low: float
    high: float
    spread: float
    df: float
    p_better: float
    p_worse: float
    p_equivalent: float


def compare_paired(differences: Sequence[Array], *, region: float) -> list[PairedComparison]:
    """Returns how inits do against baselines: the comparisons of one sweep, in their order.

    The tests take a comparison's spread as moderated by the others; the interval takes its own.
    Of differences without spread neither says anything, for dev examples are few: equal ones are
    ties, not certainty.

    Args:
        differences: of each comparison (n,), without NaN; any number of pairs.
        region: of practical equivalence, at least 0, in the unit of the values.

    Source: paired t test against a margin; two one-sided tests (Schuirmann, J. Pharmacokinet.
    Biopharm. 15, 1987); moderated t (Smyth 2004).
    """
    spread, df = _spreads(differences)
    return [
        _compare(d, float(s), float(nu), region)
        for d, s, nu in zip(differences, spread, df, strict=True)
    ]


@dataclass(frozen=True)
class Verdict:
    """What may be claimed of a difference.

    Attributes:
        claim: `better`, `worse` or `equivalent`; or `not resolved`.
        p: Holm's p of the claim; of `not resolved` the smallest of the three.
    """

    claim: str
    p: float


class Claims(Protocol):
    """What has a p for each claim."""

    @property
    def p_better(self) -> float:
        """Of «the true difference is at most the region»; one-sided, as the next."""

    @property
    def p_worse(self) -> float:
        """Of «it is at least minus the region»."""

    @property
    def p_equivalent(self) -> float:
        """Of «it lies outside the region»."""


def judge(comparisons: Sequence[Claims], *, alpha: float = ALPHA) -> list[Verdict]:
    """Returns the verdicts on all comparisons of a sweep.

    Each of the three claims is tested by itself, by Holm's method over the comparisons: any
    false one of a kind is made in at most alpha of all sweeps.

    Args:
        comparisons: all of the sweep.
        alpha: level of each kind of claim.
    """
    adjusted = [holm([getattr(one, f"p_{claim}") for one in comparisons]) for claim in CLAIMS]
    found = [
        min(zip(own, CLAIMS, strict=True), key=lambda pair: pair[0])
        for own in zip(*adjusted, strict=True)
    ]
    return [Verdict(claim if p <= alpha else NOT_RESOLVED, p) for p, claim in found]


def holm(p_values: Sequence[float]) -> list[float]:
    """Returns Holm's adjusted p-values, in the same order.

    The k-th smallest of m is multiplied by m - k + 1 and is at least the one before it.

    Source: Holm 1979.
    """
    m = len(p_values)
    adjusted, largest = [0.0] * m, 0.0
    for k, i in enumerate(sorted(range(m), key=p_values.__getitem__)):
        largest = max(largest, min(1.0, (m - k) * p_values[i]))
        adjusted[i] = largest
    return adjusted


def has_spread(values: Array) -> bool:
    """Returns whether the values say what is chance: two or more that differ, and not by rounding.

    Args:
        values: (n,).
    """
    return len(values) >= 2 and bool(np.ptp(values) > _ROUNDING)


def t_interval(values: Array) -> tuple[float, float]:
    """Returns the 95 % t interval of the mean; infinite where the values show no spread.

    Args:
        values: (n,).
    """
    n = len(values)
    if not has_spread(values):
        return -np.inf, np.inf
    half = float(special.stdtrit(n - 1, (1 + CONFIDENCE) / 2)) * float(values.std(ddof=1)) / n**0.5
    return float(values.mean()) - half, float(values.mean()) + half


def _spreads(differences: Sequence[Array]) -> tuple[Array, Array]:
    """Moderated standard deviations and their degrees of freedom; NaN and 0 without spread."""
    spread, df = np.full(len(differences), np.nan), np.zeros(len(differences))
    known = [i for i, d in enumerate(differences) if has_spread(d)]
    if known:
        variances = np.array([differences[i].var(ddof=1) for i in known])
        own = np.array([len(differences[i]) - 1.0 for i in known])
        variances, df[known] = moderate_variances(variances, own)
        spread[known] = np.sqrt(variances)
    return spread, df


def _compare(d: Array, spread: float, df: float, region: float) -> PairedComparison:
    n = len(d)
    mean = float(d.mean()) if n else np.nan
    low, high = t_interval(d)
    inside = [_one_sided(distance, spread, df, n) for distance in (region - mean, region + mean)]
    return PairedComparison(
        differences=tuple(d.tolist()),
        mean=mean,
        median=float(np.median(d)) if n else np.nan,
        low=low,
        high=high,
        spread=spread,
        df=df,
        p_better=_one_sided(mean - region, spread, df, n),
        p_worse=_one_sided(-mean - region, spread, df, n),
        p_equivalent=max(inside),
    )


def _one_sided(distance: float, spread: float, df: float, n: int) -> float:
    """P of «the distance is at most 0»; 1 where nothing is known of the spread."""
    if np.isnan(spread):
        return 1.0
    return float(special.stdtr(df, -distance * n**0.5 / spread))
