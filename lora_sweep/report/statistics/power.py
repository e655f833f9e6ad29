"""How many seeds would tell a difference from chance."""

from scipy import stats

MOST_SEEDS = 1_000


def paired_power(difference: float, std: float, n: int, *, alpha: float) -> float:
    """Returns the probability that a two-sided paired t test finds a difference.

    Args:
        difference: true mean of the differences.
        std: their standard deviation, above 0.
        n: seeds, at least 2.
        alpha: level of the test.

    Source: t^2 has a noncentral F distribution (1, n - 1), noncentrality n (difference / std)^2.
    """
    if difference == 0:
        return alpha
    limit = stats.t.ppf(1 - alpha / 2, n - 1) ** 2
    return float(stats.ncf.sf(limit, 1, n - 1, n * (difference / std) ** 2))


def seeds_to_resolve(
    difference: float, std: float, *, alpha: float = 0.05, power: float = 0.8
) -> int | None:
    """Returns the least number of seeds that finds the difference with the given power.

    None where more than 1,000 would be needed, or nothing is known of the spread.

    Args:
        difference: true mean of the paired differences.
        std: their standard deviation.
        alpha: level of the two-sided test.
        power: probability to find it, 0 to 1.
    """
    if difference == 0 or not 0 < std < float("inf"):
        return None
    if paired_power(difference, std, MOST_SEEDS, alpha=alpha) < power:
        return None
    few, many = 1, MOST_SEEDS
    while many - few > 1:
        middle = (few + many) // 2
        if paired_power(difference, std, middle, alpha=alpha) >= power:
            many = middle
        else:
            few = middle
    return many
