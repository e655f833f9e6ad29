"""How many seeds would tell a difference from chance."""

from scipy import stats

MOST_SEEDS = 1_000


def power_to_find(distance: float, spread: float, n: int, *, alpha: float) -> float:
    """Returns the probability that a one-sided paired t test finds a difference.

    Args:
        distance: of the true difference from the region of equivalence.
        spread: standard deviation of the differences, above 0.
        n: seeds, at least 2.
        alpha: level of the test.

    Source: t has a noncentral t distribution, noncentrality √n · distance / spread.
    """
    limit = stats.t.isf(alpha, n - 1)
    return float(stats.nct.sf(limit, n - 1, n**0.5 * distance / spread))


def upper_limit_of_spread(spread: float, df: float, *, confidence: float = 0.8) -> float:
    """Returns what the true spread is below, with this confidence.

    A study planned with the spread that was seen is too small in half of all cases.

    Args:
        spread: standard deviation that was seen; NaN where nothing is known.
        df: its degrees of freedom, above 0.
        confidence: of the limit.

    Source: chi-square interval of a variance; its use in planning: Browne, Stat. Med. 14 (1995).
    """
    return float(spread * (df / stats.chi2.ppf(1 - confidence, df)) ** 0.5)


def seeds_to_find(
    distance: float, spread: float, *, alpha: float = 0.05, power: float = 0.8
) -> int | None:
    """Returns the least number of seeds that finds a difference with the given power.

    None where more than 1,000 would be needed, or nothing is known of the spread.

    Args:
        distance: of the true difference from the region of equivalence, above 0.
        spread: standard deviation of the paired differences; NaN where nothing is known.
        alpha: level of the one-sided test.
        power: probability to find it, 0 to 1.
    """
    if not 0 < spread < float("inf"):
        return None
    if power_to_find(distance, spread, MOST_SEEDS, alpha=alpha) < power:
        return None
    few, many = 1, MOST_SEEDS
    while many - few > 1:
        middle = (few + many) // 2
        if power_to_find(distance, spread, middle, alpha=alpha) >= power:
            many = middle
        else:
            few = middle
    return many
