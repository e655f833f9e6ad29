"""Which settings a search proposes, and between which bounds; no impossible ranks among them.

The three ranks hang together: rank.min <= rank.average <= rank.max. Of the values M, A and X that
they may take, some combination is possible if and only if an a in A has min M <= a <= max X. So a
value of one rank is possible, given those that are decided, if that holds with it decided too.

Optuna is shown the full bounds of every setting all the same: a search space that changes from
trial to trial would be none that its models, its importances and its pictures can work in.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from lora_sweep.errors import SettingError

RANKS = ("rank.min", "rank.average", "rank.max")
Params = dict[str, Any]


@dataclass(frozen=True)
class Space:
    """What is searched.

    Attributes:
        distributions: setting -> its values, whatever the others are.
        ranks: each of the three ranks -> values that it may take, ascending; one for a rank that
            is not searched, an average that need not be whole.
    """

    distributions: dict[str, BaseDistribution]
    ranks: dict[str, list[float]]

    @classmethod
    def of(cls, distributions: dict[str, BaseDistribution], fixed: Mapping[str, float]) -> "Space":
        """Returns the space.

        Args:
            distributions: setting -> its values.
            fixed: rank -> its value, of at least the ranks that are not searched.

        Raises:
            SettingError: no combination of ranks is possible, or one is no integer.
        """
        ranks: dict[str, list[float]] = {
            name: _integers(name, distributions[name]) if name in distributions else [fixed[name]]
            for name in RANKS
        }
        if not set(RANKS).isdisjoint(distributions) and not _is_possible(ranks):
            bounds = ", ".join(f"{name} in {v[0]:g} ... {v[-1]:g}" for name, v in ranks.items())
            raise SettingError(
                "rank.min <= rank.average <= rank.max must be possible within the search's "
                f"bounds, but got {bounds}"
            )
        return cls(distributions, ranks)

    def possible(self, name: str, decided: Mapping[str, Any]) -> list[float]:
        """Returns the values of one rank that leave a possible combination; all if none does.

        Args:
            name: of the rank.
            decided: setting -> value, of settings that are decided.
        """
        ranks: dict[str, list[float]] = {
            other: [int(decided[other])] if other in decided else values
            for other, values in self.ranks.items()
        }
        own = self.ranks[name]
        # None does only where somebody queued an impossible trial by hand, which then fails.
        return [value for value in own if _is_possible(ranks | {name: [value]})] or own

    def nearest(self, name: str, value: Any, decided: Mapping[str, Any]) -> Any:
        """Returns a value itself if it is possible, else the nearest one that is.

        Real numbers come with four significant digits, so that tables and folders can be read.

        Args:
            name: of the setting.
            value: that was proposed.
            decided: setting -> value, of settings that are decided.
        """
        if name not in RANKS:
            return _rounded(value, self.distributions[name])
        return min(self.possible(name, decided), key=lambda rank: (abs(rank - value), rank))

    def repaired(self, params: Params) -> Params:
        """Returns proposed settings with their ranks made possible, rank.average last."""
        decided: Params = {}
        for name in sorted(params, key=lambda name: name == "rank.average"):
            decided[name] = self.nearest(name, params[name], decided)
        return {name: decided[name] for name in params}

    def narrowed(self, name: str, decided: Mapping[str, Any]) -> BaseDistribution:
        """Returns the distribution of one setting within what the decided ones leave possible."""
        full = self.distributions[name]
        if name not in RANKS or not isinstance(full, IntDistribution) or full.step != 1:
            return full
        possible = self.possible(name, decided)
        return IntDistribution(int(possible[0]), int(possible[-1]), log=full.log)

    def combinations(self) -> list[Params]:
        """Returns all possible combinations of values, for a grid; the last setting turns fastest.

        Raises:
            SettingError: a setting has a continuous range.
        """
        values = {name: _choices(name, each) for name, each in self.distributions.items()}
        combined = [dict(zip(values, one, strict=True)) for one in product(*values.values())]
        return [one for one in combined if self._is_possible(one)]

    def corners(self) -> list[Params]:
        """Returns two combinations: of the lowest values, and of the highest."""
        ends = {name: _ends(each) for name, each in self.distributions.items()}
        return [self.repaired({name: both[end] for name, both in ends.items()}) for end in (0, 1)]

    def _is_possible(self, params: Params) -> bool:
        decided = {name: [params[name]] for name in RANKS if name in params}
        return not decided or _is_possible(self.ranks | decided)


def in_words(distribution: BaseDistribution) -> str:
    """Returns the values of a distribution as text; two have the same only if they are equal."""
    if isinstance(distribution, CategoricalDistribution):
        return ", ".join(map(repr, distribution.choices))
    assert isinstance(distribution, IntDistribution | FloatDistribution)
    no_step = 1 if isinstance(distribution, IntDistribution) else None
    step = "" if distribution.step == no_step else f", in steps of {distribution.step}"
    log = ", logarithmic" if distribution.log else ""
    return f"{distribution.low} ... {distribution.high}{step}{log}"


def _rounded(value: Any, distribution: BaseDistribution) -> Any:
    if not isinstance(distribution, FloatDistribution) or distribution.step is not None:
        return value
    return min(max(float(f"{value:.4g}"), distribution.low), distribution.high)


def _is_possible(ranks: Mapping[str, Sequence[float]]) -> bool:
    """Whether rank.min <= rank.average <= rank.max holds for some values."""
    least, most = min(ranks["rank.min"]), max(ranks["rank.max"])
    return any(least <= average <= most for average in ranks["rank.average"])


def _integers(name: str, distribution: BaseDistribution) -> list[float]:
    """All values of a rank, ascending."""
    if isinstance(distribution, IntDistribution):
        return list(range(distribution.low, distribution.high + 1, distribution.step))
    choices = getattr(distribution, "choices", ())
    if not choices or not all(type(choice) is int for choice in choices):
        raise SettingError(f"{name} must be searched among integers, but got {distribution}")
    return sorted(choices)


def _choices(name: str, distribution: BaseDistribution) -> list[Any]:
    """All values of a setting."""
    if isinstance(distribution, CategoricalDistribution):
        return list(distribution.choices)
    if isinstance(distribution, IntDistribution):
        return list(range(distribution.low, distribution.high + 1, distribution.step))
    assert isinstance(distribution, FloatDistribution)
    if distribution.step is None:
        raise SettingError(
            f"{name} must be a list of values in a grid ({name}=A,B,C or range(...)), but got "
            f"the range {distribution.low:g} ... {distribution.high:g}"
        )
    n_steps = round((distribution.high - distribution.low) / distribution.step)
    return [distribution.low + distribution.step * number for number in range(n_steps + 1)]


def _ends(distribution: BaseDistribution) -> tuple[Any, Any]:
    if isinstance(distribution, CategoricalDistribution):
        return distribution.choices[0], distribution.choices[-1]
    assert isinstance(distribution, IntDistribution | FloatDistribution)
    return distribution.low, distribution.high
