"""Every rule of the settings, on both sides of its limit."""

import math
from collections.abc import Callable
from typing import Any

import pytest

from lora_sweep.config.run import RunConfig
from lora_sweep.errors import SettingError

from .importance import BY_IMPORTANCE

Changed = Callable[[dict[str, Any]], RunConfig]
NAN, INF = math.nan, math.inf

# name, values that are refused, values that are taken, the rule as the message states it
RULES: list[tuple[str, list[Any], list[Any], str]] = [
    ("lr", [-1.0, NAN, INF], [0.0, 1e30], "at least 0 and finite"),
    ("seed", [-1], [0, 2**63 - 1], "at least 0"),
    ("seed", [2**63, 2**70], [], "at most 9223372036854775807"),
    ("n_seeds", [0, -2], [1], "at least 1"),
    ("n_seeds", [10_001, 10**6], [10_000], "at most 10000"),
    ("rank.min", [0], [1], "at least 1"),
    ("rank.min", [26], [20], r"at most rank.max=25"),
    (
        "rank.average",
        [4, 4.99, 25.01, 26, NAN],
        [5, 23.7, 25],
        r"within rank.min=5 \.\.\. rank.max=25",
    ),
    ("alpha.min", [0.0, -1.0, NAN, INF], [1e-6], "above 0 and finite"),
    ("alpha.max", [0.0, NAN, INF], [1e-6, 100.0], "above 0 and finite"),
    ("learning_rate.adapter", [-1e-9, NAN, INF], [0.0], "at least 0 and finite"),
    ("learning_rate.head", [-1e-9, NAN, INF], [0.0, 1e30], "at least 0 and finite"),
    ("learning_rate.warmup_fraction", [-0.01, 1.01, NAN], [0.0, 1.0], r"within 0 \.\.\. 1"),
    ("budget.hold_epochs", [-1.0, NAN, INF], [0.0, 0.5], "at least 0 and finite"),
    ("budget.move_epochs", [-1.0, NAN, INF], [0.0, 0.5], "at least 0 and finite"),
    ("allocation.tau", [-0.1, NAN, INF], [0.0, 2.0], "at least 0 and finite"),
    ("model.dropout", [-0.1, 1.0, NAN], [None, 0.0, 0.99], "null or within"),
    ("model.lora_alpha", [0.0, -1.0, NAN, INF], [0.5, 16.0], "above 0 and finite"),
    ("model.adapter_dropout", [-0.1, 1.0, NAN], [0.0, 0.99], r"within 0 \.\.\. 1"),
    ("model.adapted", [[], [""], ["query", ""]], [["query"]], "a list of module-name endings"),
    ("model.factors_seed", [-1], [0, 2**32 - 1], "at least 0"),
    ("model.factors_seed", [2**32], [], "at most 4294967295"),
    ("data.max_length", [3], [4], "at least 4"),
    ("data.selection_fraction", [-0.1, 1.0, NAN], [0.0, 0.99], "within 0"),
    ("data.n_train", [9], [10], "at least 10"),
    ("data.n_train", [1_000_001], [1_000_000], "at most 1000000"),
    ("data.seed", [-1], [0, 2**63 - 1], "at least 0"),
    ("data.seed", [2**63], [], "at most 9223372036854775807"),
    ("data.n_dev", [9], [10], "at least 10"),
    ("data.n_out_of_domain", [9], [10], "at least 10"),
    ("training.epochs", [0], [1], "at least 1"),
    ("training.epochs", [100_001, 10**12], [100_000], "at most 100000"),
    ("training.epochs_discrete", [-1, 4], [0, 3], r"within 0 \.\.\. training.epochs=3"),
    ("training.batch_size", [0], [1], "at least 1"),
    ("training.evaluation_batch_size", [0], [1], "at least 1"),
    ("training.batch_size", [1_000_001, 10**12], [1_000_000], "at most 1000000"),
    ("training.evaluation_batch_size", [1_000_001], [1_000_000], "at most 1000000"),
    ("training.log_every", [0], [1], "at least 1"),
    ("training.log_every", [5_000_001], [5_000_000], "at most 5000000"),
    ("training.weight_decay", [-0.1, NAN, INF], [0.0], "at least 0 and finite"),
    ("training.max_gradient_norm", [0.0, NAN, INF], [1e-6], "above 0 and finite"),
    ("paths.sweep", ["", ".", "..", "a/b", "a\\b", "a\0b"], ["a.b", "mine"], "a folder name"),
]
REFUSED = [(name, value, rule) for name, refused, _, rule in RULES for value in refused]
TAKEN = [(name, value) for name, _, taken, _ in RULES for value in taken]
RANGES = ("start_average", "end_average")


@pytest.mark.parametrize(("name", "value", "rule"), REFUSED)
def test_broken_rule_names_setting_and_value(
    name: str, value: Any, rule: str, changed: Changed
) -> None:
    with pytest.raises(SettingError, match=rf"^{name} must be {rule}.*, but got ") as caught:
        changed({name: value})
    assert str(caught.value).endswith(f"but got {value}")


@pytest.mark.parametrize(("name", "value"), TAKEN)
def test_value_at_the_limit_is_taken(name: str, value: Any, changed: Changed) -> None:
    settings = {name: value}
    if name == "training.epochs":
        settings["training.epochs_discrete"] = 0
    assert isinstance(changed(settings), RunConfig)


def test_last_seed_of_a_cell_has_its_limit_too(changed: Changed) -> None:
    assert isinstance(changed({"seed": 2**63 - 3, "n_seeds": 3}), RunConfig)
    with pytest.raises(SettingError, match="must be at most 9223372036854775805"):
        changed({"seed": 2**63 - 2, "n_seeds": 3})


@pytest.mark.parametrize(
    ("name", "value", "rule"),
    [
        ("warmup_fraction", None, "given with allocation=importance"),
        ("warmup_fraction", -0.1, r"within 0 \.\.\. 1"),
        ("final_fraction", 0.91, r"at most 1 - allocation.warmup_fraction=0.1"),
        ("every", 0, "at least 1"),
        ("beta1", 1.0, r"within 0 \.\.\. 1 \(1 excluded\)"),
        ("beta2", NAN, r"within 0 \.\.\. 1 \(1 excluded\)"),
        ("tau", 0.5, "0 with allocation=importance"),
    ],
)
def test_importance_has_its_rules(name: str, value: Any, rule: str, changed: Changed) -> None:
    with pytest.raises(
        SettingError, match=rf"^allocation.{name} must be {rule}.* but got {value}"
    ):
        changed(BY_IMPORTANCE | {f"allocation.{name}": value})


def test_importance_takes_its_limits(changed: Changed) -> None:
    limits = {"warmup_fraction": 0.0, "final_fraction": 1.0, "every": 1, "beta1": 0.0}
    config = changed(
        BY_IMPORTANCE | {f"allocation.{name}": value for name, value in limits.items()}
    )
    assert config.allocation_plan().importance is not None


@pytest.mark.parametrize("mode", ["published", "capped", "soft_topk"])
def test_importance_is_refused_in_other_modes(mode: str, changed: Changed) -> None:
    with pytest.raises(
        SettingError, match=f"^allocation.every must be null with allocation={mode}"
    ):
        changed({"allocation.mode": mode, "allocation.every": 3})


@pytest.mark.parametrize("values", [None, [], [1.0, NAN]], ids=str)
def test_values_must_be_finite_numbers(values: Any, changed: Changed) -> None:
    with pytest.raises(SettingError, match=r"^init.values must be a list of finite numbers"):
        changed({"init.name": "values", "init.values": values})


def test_values_are_for_their_own_init(changed: Changed) -> None:
    with pytest.raises(SettingError, match=r"^init.values must be null with init=randn"):
        changed({"init.name": "randn", "init.values": [1.0]})


@pytest.mark.parametrize("batches", [None, 0, -1])
def test_calibration_wants_batches(batches: int | None, changed: Changed) -> None:
    with pytest.raises(SettingError, match=r"^init.batches must be at least 1, but got"):
        changed({"init.name": "fisher", "init.batches": batches})


@pytest.mark.parametrize(
    ("name", "setting", "value"),
    [("randn", "batches", 8), ("from_run", "batches", 8), ("randn", "freeze", True)],
)
def test_settings_of_other_inits_are_refused(
    name: str, setting: str, value: Any, changed: Changed
) -> None:
    run = {"init.run": "outputs/a/b"} if name == "from_run" else {}
    owners = r"from_run\|fisher" if setting == "freeze" else "fisher"
    rule = rf"^init.{setting} must be (null|false) with init={name}, for it is of init={owners}"
    with pytest.raises(SettingError, match=rule):
        changed({"init.name": name, f"init.{setting}": value, **run})


def test_frozen_ranks_from_the_data_may_have_any_average(changed: Changed) -> None:
    frozen = {"init.name": "fisher", "init.batches": 8, "init.freeze": True}
    config = changed(frozen | {"rank.average": 19.5, "allocation.mode": "random_square"})
    assert config.calibrates


@pytest.mark.parametrize("value", [5.0, 5.5, 25.0])
def test_constant_budget_within_ranks_is_taken(value: float, changed: Changed) -> None:
    config = changed({f"budget.{name}": value for name in RANGES})
    assert config.budget.end_average == value


@pytest.mark.parametrize("value", [4.9, 25.1])
def test_budget_beyond_ranks_is_refused(value: float, changed: Changed) -> None:
    match = rf"^budget.start_average must be within rank.min=5 .* spend it, but got {value}"
    with pytest.raises(SettingError, match=match):
        changed({f"budget.{name}": value for name in RANGES})


@pytest.mark.parametrize("value", [0.0, -1.0, NAN, INF])
def test_budget_that_is_no_rank_is_refused(value: float, changed: Changed) -> None:
    with pytest.raises(SettingError, match=r"^budget\.start_average must be above 0 and finite"):
        changed({f"budget.{name}": value for name in RANGES})


def test_constant_budget_with_two_ends_is_refused(changed: Changed) -> None:
    match = "^budget.end_average must be equal to budget.start_average=20 .* but got 10"
    with pytest.raises(SettingError, match=match):
        changed({"budget.end_average": 10.0})


def test_ramp_may_have_two_ends(changed: Changed) -> None:
    config = changed({"budget.schedule": "ramp", "budget.end_average": 10.0})
    assert config.budget.end_average == 10


def test_budget_does_not_bind_fixed_ranks(changed: Changed) -> None:
    ranks = {"rank.min": 3, "rank.max": 3, "rank.average": 3}
    assert changed(ranks).has_fixed_ranks
