"""The published study's grids: what each named sweep runs, against tables of its reports.

Source of the tables: the reports and scripts in the study's repository, mallahova/loraxs, folder
`tasks/adaptive_rank_allocation`: `alpha/report.md`, `memory/*/report.md`, `not_cola/report.md`,
`lr/scheduler_lr/scripts`, `initializations_l_r/scripts`; and `tasks/other/loraxs_reproducement`.
"""

from collections import Counter
from collections.abc import Callable
from functools import cache
from itertools import product
from typing import Any

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.override_parser.overrides_parser import OverridesParser

from lora_sweep.config.run import RunConfig, run_settings
from lora_sweep.config.store import CONF
from lora_sweep.launch.grids import runs_of_grids

Cell = tuple[Any, ...]
"""Init, rank min, max, average, alpha min, max, its schedule, that of the rates, lr, epochs."""

TENTHS = (0.002, 0.01, 0.02)
LINEAR, CONSTANT = "linear", "constant"
SEEDS = [0, 1, 2, 3, 4]


def learnt(
    init: str,
    ranks: tuple[int, int, int],
    lr: float,
    *,
    alpha: tuple[float, float, str] = (0.5, 3.0, "linear"),
    rates: str = LINEAR,
    epochs: int = 50,
) -> Cell:
    return (init, *ranks, *alpha, rates, lr, epochs)


def fixed(rank: int, *, rates: str = LINEAR, epochs: int = 50) -> Cell:
    return ("fixed", None, rank, rank, None, None, None, rates, None, epochs)


AT_BOTH = [fixed(rank, rates=rates) for rank in (20, 25) for rates in (LINEAR, CONSTANT)]
R5_30 = (5, 30, 20)
RANGES = [(0.1, 5.0, "linear"), (0.01, 10.0, "linear"), (0.5, 3.0, "linear")]
FIRST = ("uniform", "randn", "quadratic", "left_skewed")

GRIDS: dict[str, list[Cell]] = {
    "sweep=initializations experiment=cola": [
        *(learnt(init, (5, 25, 20), lr, epochs=51)
          for init, lr in product(FIRST, (0.001, 0.002, 0.005, 0.01, 0.02))),
        fixed(20, epochs=51), fixed(25, epochs=51),
    ],
    "sweep=alphas": [
        *(learnt("randn", R5_30, lr, alpha=alpha, rates=rates)
          for lr, alpha, rates in product(TENTHS, RANGES, (LINEAR, CONSTANT))),
        *(learnt("randn", R5_30, lr, alpha=(0.5, 3.0, "exponential")) for lr in TENTHS),
        *AT_BOTH,
    ],
    "sweep=constant_rates": [
        *(learnt("randn", R5_30, lr, rates=CONSTANT) for lr in TENTHS), *AT_BOTH,
    ],
    "sweep=rank_max": [
        *(learnt("uniform", (15, high, 20), lr, epochs=51)
          for high, lr in product((25, 35, 50), (0.002, 0.005, 0.01))),
        *(learnt("uniform", (5, high, 20), lr, epochs=51)
          for high, lr in product((25, 35, 50), (0.02, 0.05, 0.1))),
        fixed(20, epochs=51), fixed(25, epochs=51),
    ],
    "sweep=budget_shrinks": [
        *(learnt("randn", (5, 40, 20), lr, epochs=51) for lr in TENTHS),
        *(learnt(init, (5, 50, 20), lr) for init, lr in product(("randn", "quadratic"), TENTHS)),
        *(fixed(rank, epochs=epochs) for rank in (20, 25) for epochs in (51, 50)),
    ],
    "sweep=budget_grows": [
        *(learnt("randn", (5, 30, 25), lr, rates=rates)
          for lr, rates in product(TENTHS, (LINEAR, CONSTANT))),
        fixed(25), fixed(25, rates=CONSTANT),
    ],
    "sweep=lora_xs_ranks": [fixed(rank) for rank in (4, 8, 12, 16, 20, 25)],
    "sweep=best_preset experiment=qnli": [
        learnt("randn", (5, 25, 20), 0.002, epochs=15), fixed(25, epochs=15),
    ],
    "sweep=best_preset experiment=sst2": [
        learnt("randn", (5, 25, 20), 0.002, epochs=20), fixed(25, epochs=20),
    ],
}  # fmt: skip

BUDGETS: dict[str, dict[Cell, Cell]] = {
    # rank max, epochs -> start, end, epochs that hold it, epochs that move it
    "sweep=budget_shrinks": {(40, 51): (40, 20, 15, 10), (50, 50): (40, 20, 20, 20)},
    "sweep=budget_grows": {(30, 50): (pytest.approx(312.5**0.5, abs=1e-5), 25, 3, 5)},
}


@cache
def jobs(sweep: str) -> list[list[str]]:
    """The overrides of every job of a sweep."""
    with initialize_config_dir(CONF):
        config = compose("config", sweep.split(), return_hydra_config=True)
    parse = OverridesParser.create().parse_overrides
    grids = [
        parse([f"{name}={values}" for name, values in grid.items()])
        for grid in config.hydra.sweeper.grids
    ]
    return [[*sweep.split(), *job] for job in runs_of_grids(grids, [])]


@pytest.fixture(scope="module")
def cells(composed: Callable[..., RunConfig]) -> Callable[[str], list[dict[str, Any]]]:
    """A sweep -> the settings of its cells."""
    return lambda sweep: [
        run_settings(composed(*job), 0) for job in jobs(sweep) if job[-1] == "seed=0"
    ]


def _as_cell(settings: dict[str, Any]) -> Cell:
    names = (
        *("init", "rank.min", "rank.max", "rank.average", "alpha.min", "alpha.max"),
        *("alpha.schedule", "learning_rate.schedule", "lr", "training.epochs"),
    )
    return tuple(settings[name] for name in names)


@pytest.mark.parametrize("sweep", GRIDS)
def test_sweep_has_the_cells_of_the_study(
    sweep: str, cells: Callable[[str], list[dict[str, Any]]]
) -> None:
    found = cells(sweep)
    assert Counter(map(_as_cell, found)) == Counter(GRIDS[sweep])
    task = sweep.partition("experiment=")[2] or "cola"
    assert {s["data.name"] for s in found} == {task}
    assert {s["model.name"] for s in found} == {"FacebookAI/roberta-large"}
    assert {s["allocation.mode"] for s in found} <= {"published", None}
    for settings in found:
        if settings["init"] != "fixed":
            place = settings["rank.max"], settings["training.epochs"]
            average = settings["rank.average"]
            expected = BUDGETS.get(sweep, {}).get(place, (average, average, None, None))
            assert _budget(settings) == expected


def _budget(settings: dict[str, Any]) -> Cell:
    names = ("start_average", "end_average", "hold_epochs", "move_epochs")
    return tuple(settings[f"budget.{name}"] for name in names)


@pytest.mark.parametrize("sweep", GRIDS)
def test_every_cell_has_five_seeds(sweep: str) -> None:
    seeds: dict[str, list[int]] = {}
    for *job, seed in jobs(sweep):
        seeds.setdefault(" ".join(job), []).append(int(seed.removeprefix("seed=")))
    assert all(own == SEEDS for own in seeds.values())
    assert len(seeds) == len(GRIDS[sweep])


def test_another_base_takes_the_place_of_the_studys(composed: Callable[..., RunConfig]) -> None:
    for number in (0, -1):
        config = composed(*jobs("sweep=alphas")[number], "experiment=cola_minilm")
        assert (config.model.name, config.training.epochs) == ("minilm", 10)
    grids = OverridesParser.create().parse_overrides(["experiment=choice(cola)", "rank.max=40"])
    given = OverridesParser.create().parse_overrides(["experiment=cola_minilm"])
    assert runs_of_grids([grids], given) == [["experiment=cola_minilm", "rank.max=40"]]
