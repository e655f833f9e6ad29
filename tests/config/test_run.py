"""Which configs are the same run, what a run is called, and what the root refuses."""

import dataclasses
import json
from collections.abc import Callable
from typing import Any

import pytest

from lora_sweep.allocation.calibration import CALIBRATIONS
from lora_sweep.config.run import RunConfig, run_name, run_settings
from lora_sweep.errors import SettingError

from .importance import BY_IMPORTANCE

Changed = Callable[[dict[str, Any]], RunConfig]
Composed = Callable[..., RunConfig]

LEARNT_ONLY: list[dict[str, Any]] = [
    {"lr": 0.5},
    {"alpha.min": 0.1},
    {"alpha.max": 9.0},
    {"alpha.schedule": "cosine"},
    {"budget.schedule": "ramp", "budget.start_average": 7.0},
    {"allocation.mode": "published"},
    {"allocation.tau": 0.5},
    {"training.epochs_discrete": 3},
]
OTHERS: list[dict[str, Any]] = [
    {"precision": "bfloat16"},
    {"rank.average": 19},
    {"rank.max": 26},
    {"learning_rate.adapter": 0.5},
    {"learning_rate.head": 0.5},
    {"learning_rate.schedule": "constant"},
    {"learning_rate.warmup_fraction": 0.5},
    {"model.pooling": "cls"},
    {"model.dropout": 0.0},
    {"model.adapted": ["query"]},
    {"model.factors": "randomised"},
    {"data.max_length": 64},
    {"data.seed": 1},
    {"data.n_train": 999},
    {"data.selection_fraction": 0.1},
    {"training.epochs": 6},
    {"training.batch_size": 24},
    {"training.weight_decay": 0.0},
    {"training.max_gradient_norm": 2.0},
]
NO_EFFECT: list[dict[str, Any]] = [
    {"model.name": "another"},  # its content has one
    {"model.path": "another"},
    {"model.factors_seed": 7},  # exact factors draw nothing
    {"training.log_every": 7},
    {"device": "cpu"},
    {"compile": True},
    {"n_seeds": 3},
    {"finished": "overwrite"},
    {"paths.outputs": "there"},
    {"paths.cache": "there"},
    {"paths.sweep": "there"},
]


def name_of(config: RunConfig, *, init: str | None = None) -> str:
    if init is not None:
        config = dataclasses.replace(config, init=dataclasses.replace(config.init, name=init))
    return run_name(run_settings(config, config.seed))


@pytest.mark.parametrize("settings", LEARNT_ONLY, ids=str)
def test_fixed_ranks_ignore_what_is_learnt(
    settings: dict[str, Any], changed: Changed, run_config: RunConfig
) -> None:
    config = changed(settings)
    assert name_of(config, init="fixed") == name_of(run_config, init="fixed")
    assert name_of(config) != name_of(run_config)


@pytest.mark.parametrize(
    "settings",
    [
        *({"lr": 0.5}, {"init.name": "randn"}, {"alpha.max": 9.0}, {"alpha.schedule": "cosine"}),
        *({"training.epochs_discrete": 3}, {"budget.schedule": "ramp", "budget.end_average": 7.0}),
    ],
    ids=str,
)
def test_cut_ranks_ignore_what_logits_need(settings: dict[str, Any], changed: Changed) -> None:
    assert name_of(changed(BY_IMPORTANCE | settings)) == name_of(changed(BY_IMPORTANCE))


@pytest.mark.parametrize(
    "settings",
    [{"allocation.every": 9}, {"allocation.beta1": 0.8}, {"rank.min": 6}, {"rank.average": 19}],
    ids=str,
)
def test_cut_ranks_follow_their_own_settings(settings: dict[str, Any], changed: Changed) -> None:
    assert name_of(changed(BY_IMPORTANCE | settings)) != name_of(changed(BY_IMPORTANCE))


def test_fixed_ranks_ignore_the_cuts(changed: Changed, run_config: RunConfig) -> None:
    assert name_of(changed(BY_IMPORTANCE), init="fixed") == name_of(run_config, init="fixed")


def test_younger_settings_are_none_of_older_runs(run_config: RunConfig) -> None:
    # or names and fingerprints of finished runs would change
    settings = run_settings(run_config, 0)
    younger = ("init.", "allocation.every", "allocation.beta", "allocation.warmup")
    assert not [name for name in settings if name.startswith(younger)]
    assert "allocation.tau" in settings


def test_values_are_settings_of_their_runs_only(changed: Changed) -> None:
    first, second = (
        changed({"init.name": "values", "init.values": values}) for values in ([0.0], [1.0])
    )
    assert run_settings(first, 0)["init.values"] == [0.0]
    assert name_of(first) != name_of(second)


def test_cola_part_is_a_setting_only_if_given(composed: Composed) -> None:
    whole, part = composed("data=cola"), composed("data=cola", "data.n_train=2000")
    assert "data.n_train" not in run_settings(whole, 0)
    assert run_settings(part, 0)["data.n_train"] == 2000


@pytest.mark.parametrize(
    ("own", "other"),
    [
        ("model.lora_alpha=16", "model.lora_alpha=8"),
        ("model.adapter_dropout=0", "model.adapter_dropout=0.1"),
        ("model.factors=exact", "model.factors=orthogonal"),
    ],
)
def test_the_methods_own_is_no_setting(own: str, other: str, composed: Composed) -> None:
    name = own.partition("=")[0]
    assert run_settings(composed(own), 0) == run_settings(composed(), 0)
    assert name not in run_settings(composed(), 0)
    assert name in run_settings(composed(other), 0)


@pytest.mark.parametrize(
    ("moving", "has_effect"),
    [
        (("budget=shrink",), True),
        (("budget=shrink", "init=fixed"), False),
        (("allocation=importance",), True),
        (("allocation=importance", "rank.average=25"), False),
        (("allocation=random_square",), False),
        ((), False),
    ],
    ids=str,
)
def test_best_from_counts_where_the_budget_moves(
    moving: tuple[str, ...], has_effect: bool, composed: Composed
) -> None:
    first, settled = (
        run_settings(composed(*moving, f"training.best_from={own}"), 0)
        for own in ("first", "settled")
    )
    assert (first != settled) == has_effect
    assert ("training.best_from" in first) == has_effect


def test_random_squares_ignore_what_logits_have(composed: Composed) -> None:
    names = ("lr", "alpha.min", "training.epochs_discrete", "budget.schedule", "allocation.tau")
    settings = run_settings(composed("allocation=random_square", "init=quadratic"), 0)
    assert settings["init"] == "random_square"
    assert all(settings[name] is None for name in names)
    assert settings["rank.average"] == 20


@pytest.mark.parametrize("source", ["cola", "sst2", "stsb", "files"])
def test_seed_of_a_part_counts_where_a_part_is_taken(source: str, composed: Composed) -> None:
    files = ["data.train=a.tsv", "data.dev=b.tsv"] if source == "files" else []

    def settings(*overrides: str) -> dict[str, Any]:
        return run_settings(composed(f"data={source}", *files, *overrides), 0)

    assert settings("data.seed=1") == settings()
    assert not {"data.seed", "data.n_train", "data.n_dev"} & set(settings())
    part = settings("data.n_dev=50", "data.seed=1")
    assert (part["data.seed"], part["data.n_dev"]) == (1, 50) and "data.n_train" not in part
    assert part != settings("data.n_dev=50") != settings("data.n_train=50")


@pytest.mark.parametrize("settings", OTHERS, ids=str)
def test_setting_with_effect_changes_the_name(
    settings: dict[str, Any], changed: Changed, run_config: RunConfig
) -> None:
    config = changed(settings)
    assert name_of(config) != name_of(run_config)
    assert name_of(config, init="fixed") != name_of(run_config, init="fixed")


@pytest.mark.parametrize("settings", NO_EFFECT, ids=str)
def test_setting_without_effect_keeps_the_name(
    settings: dict[str, Any], changed: Changed, run_config: RunConfig
) -> None:
    assert name_of(changed(settings)) == name_of(run_config)


@pytest.mark.parametrize(
    ("flat", "settings"),
    [
        ({"learning_rate.schedule": "constant"}, {"learning_rate.warmup_fraction": 0.5}),
        ({"alpha.min": 2.0, "alpha.max": 2.0}, {"alpha.schedule": "cosine"}),
        ({}, {"budget.hold_epochs": 2.0}),
        ({}, {"budget.move_epochs": 5.0}),
        ({}, {"budget.schedule": "ramp"}),  # from an average to the same one
    ],
    ids=str,
)
def test_schedule_that_stays_has_no_further_settings(
    flat: dict[str, Any], settings: dict[str, Any], changed: Changed
) -> None:
    assert name_of(changed(flat | settings)) == name_of(changed(flat))


def test_rank_min_has_no_effect_on_fixed_ranks(changed: Changed, run_config: RunConfig) -> None:
    config = changed({"rank.min": 6})
    assert name_of(config, init="fixed") == name_of(run_config, init="fixed")
    assert name_of(config) != name_of(run_config)


@pytest.mark.parametrize("init", ["uniform", "randn", "quadratic", "left_skewed"])
def test_range_of_one_rank_is_fixed(init: str, changed: Changed) -> None:
    config = changed({"rank.min": 7, "rank.max": 7, "rank.average": 7})
    settings = run_settings(config, 0)
    assert config.has_fixed_ranks
    assert settings["init"] == "fixed"
    assert settings["lr"] is None
    assert name_of(config, init=init) == name_of(config, init="fixed")


def test_every_seed_has_its_own_name(run_config: RunConfig) -> None:
    names = {run_name(run_settings(run_config, seed)) for seed in range(4)}
    assert len(names) == 4


@pytest.mark.parametrize(
    ("init", "start"),
    [("randn", "randn-r5_25_20-lr0.01-seed3-"), ("fixed", "fixed-r20-seed3-")],
)
def test_run_name_is_readable(init: str, start: str, changed: Changed) -> None:
    name = name_of(changed({"seed": 3, "init.name": init}))
    assert name.startswith(start)
    assert len(name) == len(start) + 10


def test_run_name_says_the_way_to_allocate(changed: Changed) -> None:
    assert name_of(changed(BY_IMPORTANCE)).startswith("importance-r5_25_20-seed0-")
    topk = name_of(changed({"allocation.mode": "soft_topk"}))
    assert topk.startswith("uniform-soft_topk-r5_25_20-lr0.01-seed0-")


def test_run_name_is_stable_under_key_order(run_config: RunConfig) -> None:
    settings = run_settings(run_config, 0)
    backwards = dict(reversed(settings.items()))
    assert list(backwards) != list(settings)
    assert run_name(backwards) == run_name(settings)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("+extra=3", "^extra is no setting: the root has adapter, .* but got extra"),
        ("+rank.extra=3", "^rank.extra is no setting: rank has average, max, min, but got extra"),
        ("+data.path=x", "^data.path is no setting: data has max_length, .* but got path"),
        (
            "data=files",
            "^data.dev and data.train must be given, but got nothing: "
            "add data.dev=VALUE data.train=VALUE$",
        ),
    ],
    ids=["root", "group", "another_source", "missing"],
)
def test_unknown_or_missing_setting_is_named(
    override: str, message: str, composed: Composed
) -> None:
    with pytest.raises(SettingError, match=message):
        composed(override)


FROM_RUN: dict[str, Any] = {"init.name": "from_run", "init.run": "outputs/a/b"}
FROZEN: dict[str, Any] = FROM_RUN | {"init.freeze": True}
CALIBRATED: dict[str, Any] = {"init.name": "gora", "init.batches": 8, "init.freeze": True}


@pytest.mark.parametrize(
    ("settings", "start"),
    [
        (FROM_RUN, "from_run-r5_25_20-lr0.01-seed0-"),
        (FROZEN, "from_run-frozen-r25-seed0-"),
        ({"model.adapter": "outputs/a/b"}, "uniform-r5_25_20-lr0.01-seed0-"),
    ],
    ids=["logits", "ranks", "adapter"],
)
def test_run_that_another_one_starts_says_so(
    settings: dict[str, Any], start: str, changed: Changed, run_config: RunConfig
) -> None:
    source = "model.adapter_content" if "model.adapter" in settings else "init.content"
    config = changed(settings)
    first, other = (run_name(run_settings(config, 0, {source: one})) for one in ("aa", "bb"))
    assert first.startswith(start)
    assert len({first, other, name_of(run_config)}) == 3


@pytest.mark.parametrize("other", [*LEARNT_ONLY, {"rank.min": 6}, {"rank.average": 19}], ids=str)
def test_frozen_ranks_ignore_what_is_learnt(other: dict[str, Any], changed: Changed) -> None:
    assert name_of(changed(FROZEN | other)) == name_of(changed(FROZEN))


@pytest.mark.parametrize("name", CALIBRATIONS)
@pytest.mark.parametrize(
    ("freeze", "start"), [(False, "-r5_25_20-lr0.01-seed0-"), (True, "-frozen-r5_25_20-seed0-")]
)
def test_run_with_ranks_from_the_data_says_so(
    name: str, freeze: bool, start: str, changed: Changed
) -> None:
    config = changed({"init.name": name, "init.batches": 8, "init.freeze": freeze})
    assert config.calibrates
    assert run_settings(config, 0)["init.batches"] == 8
    assert name_of(config).startswith(f"{name}{start}")


@pytest.mark.parametrize("other", LEARNT_ONLY, ids=str)
def test_frozen_ranks_from_the_data_ignore_what_is_learnt(
    other: dict[str, Any], changed: Changed
) -> None:
    assert name_of(changed(CALIBRATED | other)) == name_of(changed(CALIBRATED))


@pytest.mark.parametrize(
    "other",
    [{"rank.min": 6}, {"rank.average": 19}, {"rank.average": 19.5}, {"init.batches": 9}],
    ids=str,
)
def test_frozen_ranks_from_the_data_heed_what_they_are_made_of(
    other: dict[str, Any], changed: Changed
) -> None:
    assert name_of(changed(CALIBRATED | other)) != name_of(changed(CALIBRATED))


@pytest.mark.parametrize("freeze", [False, True])
def test_data_has_no_say_where_there_is_nothing_to_allocate(
    freeze: bool, changed: Changed
) -> None:
    one_rank = {"rank.min": 20, "rank.max": 20, "budget.start_average": 20.0}
    config = changed(CALIBRATED | {"init.freeze": freeze} | one_rank)
    assert not config.calibrates
    assert name_of(config) == name_of(changed(one_rank), init="fixed")


def test_data_has_no_say_where_ranks_are_cut(changed: Changed) -> None:
    config = changed(CALIBRATED | {"init.freeze": False} | BY_IMPORTANCE)
    assert not config.calibrates
    assert name_of(config) == name_of(changed(BY_IMPORTANCE))
    assert changed(CALIBRATED | BY_IMPORTANCE).calibrates  # frozen, none is cut


def test_run_of_its_own_has_no_settings_of_sources(run_config: RunConfig) -> None:
    names = set(run_settings(run_config, 0))
    sources = {"init.run", "init.freeze", "init.batches", "model.adapter", "model.adapter_head"}
    assert not names & sources


def test_seed_of_factors_that_are_drawn_counts(changed: Changed) -> None:
    drawn = [changed({"model.factors": "randomised", "model.factors_seed": n}) for n in (0, 1)]
    assert len({name_of(config) for config in drawn}) == 2


def test_whole_average_is_an_integer_however_it_is_written(changed: Changed) -> None:
    whole, typed, real = (changed({"rank.average": average}) for average in (20, 20.0, 20.5))
    assert json.dumps(run_settings(typed, 0)) == json.dumps(run_settings(whole, 0))
    assert json.dumps(run_settings(whole, 0)["rank.average"]) == "20"
    assert name_of(whole).startswith("uniform-r5_25_20-")
    assert name_of(real).startswith("uniform-r5_25_20.5-")


def test_fixed_ranks_want_a_whole_average(changed: Changed) -> None:
    with pytest.raises(SettingError, match=r"rank\.average must be whole .*, but got 20\.5"):
        changed({"init.name": "fixed", "rank.average": 20.5})


def test_random_squares_want_a_whole_average(changed: Changed) -> None:
    rule = r"rank\.average must be whole with allocation=random_square, but got 20\.5"
    with pytest.raises(SettingError, match=rule):
        changed({"allocation.mode": "random_square", "rank.average": 20.5})


def test_exact_factors_are_not_spelled_out(run_config: RunConfig) -> None:
    assert not {"model.factors", "model.factors_seed"} & set(run_settings(run_config, 0))


def test_source_without_effect_is_no_setting(changed: Changed) -> None:
    one_rank = {"rank.min": 20, "rank.max": 20, "budget.start_average": 20.0}
    assert name_of(changed(FROM_RUN | one_rank)) == name_of(changed(one_rank), init="fixed")
