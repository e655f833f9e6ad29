"""Products of axes and unions of products, worked by hand."""

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override

from lora_sweep.errors import SettingError
from lora_sweep.launch.grids import differing_axes, product_of, runs_of_grids


def parsed(*overrides: str) -> list[Override]:
    return OverridesParser.create().parse_overrides(list(overrides))


@pytest.mark.parametrize(
    ("overrides", "runs"),
    [
        ([], [""]),
        (["lr=0.1"], ["lr=0.1"]),
        (["x=a,b", "y=0,1"], ["x=a y=0", "x=a y=1", "x=b y=0", "x=b y=1"]),
        (["seed=range(3)"], ["seed=0", "seed=1", "seed=2"]),
        (["lr=0.1,0.2", "lr=0.3"], ["lr=0.3"]),
        (["lr=0.1", "lr=0.2,0.3"], ["lr=0.2", "lr=0.3"]),
        (["+extra=1,2"], ["+extra=1", "+extra=2"]),
        (["~sweep", "seed=0,1"], ["~sweep seed=0", "~sweep seed=1"]),
        (["model.adapted=[a,b]"], ["model.adapted=[a,b]"]),
        (["rank.max=choice(8,16)"], ["rank.max=8", "rank.max=16"]),
    ],
    ids=[
        *("none", "plain", "last_fastest", "range", "later", "later_axis"),
        *("added", "deleted", "list", "choice"),
    ],
)
def test_product_has_every_combination(overrides: list[str], runs: list[str]) -> None:
    assert [" ".join(run) for run in product_of(parsed(*overrides))] == runs


@pytest.mark.parametrize("value", ["interval(0,1)", "tag(log,interval(0.001,1))"])
def test_interval_is_refused_in_a_grid(value: str) -> None:
    with pytest.raises(SettingError, match=r"^lr must be a list of values .* but got lr="):
        product_of(parsed(f"lr={value}"))


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (["seed=range(1000000000)"], "^seed must be of at most 100000 values"),
        (["seed=range(1000)", "lr=range(101)"], "at most 100000 jobs .*, but got 101000"),
        ([f"x{i}=0,1" for i in range(60)], f"at most 100000 jobs .*, but got {2**60}"),
    ],
    ids=["axis", "product", "axes"],
)
def test_too_many_jobs_are_refused_before_they_are_listed(overrides: list[str], said: str) -> None:
    with pytest.raises(SettingError, match=said):
        product_of(parsed(*overrides))


def test_too_many_jobs_of_all_grids_are_refused() -> None:
    grids = [parsed(f"x={i}", "seed=range(50001)") for i in range(2)]
    with pytest.raises(SettingError, match="but got 100002"):
        runs_of_grids(grids, [])


def test_grids_are_joined_in_order() -> None:
    grids = [parsed("init=a,b", "lr=1"), parsed("init=fixed", "seed=0,1")]
    assert [" ".join(run) for run in runs_of_grids(grids, [])] == [
        "init=a lr=1",
        "init=b lr=1",
        "init=fixed seed=0",
        "init=fixed seed=1",
    ]


@pytest.mark.parametrize(
    ("given", "runs"),
    [
        ("seed=7", ["x=a seed=7", "x=f r=9 seed=7"]),
        ("seed=7,8", ["x=a seed=7", "x=a seed=8", "x=f r=9 seed=7", "x=f r=9 seed=8"]),
        (
            "lr=5",
            ["x=a seed=0 lr=5", "x=a seed=1 lr=5", "x=f r=9 seed=0 lr=5", "x=f r=9 seed=1 lr=5"],
        ),
        ("r=8", ["x=a seed=0 r=8", "x=a seed=1 r=8", "x=f r=9 seed=0", "x=f r=9 seed=1"]),
    ],
    ids=["axis_replaced", "axis_by_axis", "joined", "pinned_in_one_stays"],
)
def test_command_line_meets_every_grid(given: str, runs: list[str]) -> None:
    grids = [parsed("x=a", "seed=0,1"), parsed("x=f", "r=9", "seed=0,1")]
    assert [" ".join(run) for run in runs_of_grids(grids, parsed(given))] == runs


@pytest.mark.parametrize("given", ["x=b", "x=a,b"])
def test_setting_that_every_grid_pins_is_refused(given: str) -> None:
    grids = [parsed("x=a", "seed=0,1"), parsed("x=f", "r=9", "seed=0,1")]
    match = rf"^x must be a setting that some grid of the sweep leaves open, but got {given}, "
    with pytest.raises(SettingError, match=match):
        runs_of_grids(grids, parsed("seed=0", given))


def test_axes_that_differ_are_named_once() -> None:
    first = ["init=fixed", "lr=0.01", "seed=0"]
    assert differing_axes(first, first) == []
    assert differing_axes(first, ["init=fixed", "lr=0.05", "seed=0", "alpha.min=1"]) == [
        "lr",
        "alpha.min",
    ]
