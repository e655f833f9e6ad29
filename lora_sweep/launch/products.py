"""Lists of overrides -> the runs they name: products of axes, and unions of products."""

import itertools
from collections.abc import Sequence

from hydra.core.override_parser.types import Override

from lora_sweep.errors import SettingError


def product_of(overrides: Sequence[Override]) -> list[list[str]]:
    """Returns one list of overrides for each combination of the axes' values.

    The last axis turns fastest; a later override of the same key replaces an earlier one.

    Args:
        overrides: plain ones (`lr=0.1`) and choice sweeps (`lr=0.1,0.2`, `seed=range(3)`).

    Raises:
        SettingError: an axis has no list of values, e.g. an interval.
    """
    axes = {override.get_key_element(): _values(override) for override in overrides}
    return [list(run) for run in itertools.product(*axes.values())]


def runs_of_grids(
    grids: Sequence[Sequence[Override]], given: Sequence[Override]
) -> list[list[str]]:
    """Returns the runs of all grids, one grid after the other.

    Args:
        grids: each grid's axes and pinned values.
        given: the command line's: replaces an axis that a grid sweeps, joins a grid that does
            not name it, and leaves what a grid pins to one value.
    """
    runs = []
    for grid in grids:
        pinned = {o.get_key_element() for o in grid if not o.is_sweep_override()}
        own = [override for override in given if override.get_key_element() not in pinned]
        runs += product_of([*grid, *own])
    return runs


def _values(override: Override) -> list[str]:
    """All `key=value` of one override."""
    key = override.get_key_element()
    if not override.is_sweep_override():
        if override.is_delete():
            return [f"{key}"]
        return [f"{key}={override.get_value_element_as_str()}"]
    if not override.is_discrete_sweep():
        raise SettingError(
            f"{key} must be a list of values (a,b,c or range(...)) in a grid, "
            f"but got {override.input_line}"
        )
    return [f"{key}={value}" for value in override.sweep_string_iterator()]
