"""Every option in conf/ composes and is valid; the published presets hold their numbers."""

import dataclasses
import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from lora_sweep.config.run import RunConfig
from lora_sweep.config.store import CONF

GROUPS = sorted(folder.name for folder in Path(CONF).iterdir() if folder.is_dir())
OPTIONS_OF_GROUP = {
    group: sorted(f"{group}={file.stem}" for file in Path(CONF, group).glob("*.yaml"))
    for group in GROUPS
}
NEEDED = {
    "data=files": ["data.train=a.tsv", "data.dev=b.tsv"],
    "init=values": ["init.values=[0,0.5]"],
    "init=from_run": ["init.run=outputs/a_sweep/a_run"],
}

PUBLISHED = {
    "model.factors": "exact",
    "model.name": "FacebookAI/roberta-large",
    "model.pooling": "cls",
    "model.dropout": None,
    "model.adapted": ["query", "value", "attention.output.dense", "output.dense"],
    "data.name": "cola",
    "data.max_length": 128,
    "data.selection_fraction": 0,
    "training.batch_size": 32,
    "training.epochs": 51,
    "training.epochs_discrete": 1,
    "training.weight_decay": 0.01,
    "training.max_gradient_norm": 1.0,
    "learning_rate.adapter": 1e-3,
    "learning_rate.head": 5e-3,
    "learning_rate.schedule": "linear",
    "learning_rate.warmup_fraction": 0.06,
    "rank.min": 5,
    "rank.max": 25,
    "rank.average": 20,
    "alpha.min": 0.5,
    "alpha.max": 3,
    "alpha.schedule": "linear",
    "allocation.mode": "published",
    "allocation.tau": 0,
    "budget.schedule": "constant",
    "budget.start_average": 20,
    "budget.end_average": 20,
    "precision": "float32",
}
COLA_50 = PUBLISHED | {"training.epochs": 50}
SST2 = PUBLISHED | {
    "init.name": "randn",
    "data.name": "sst2",
    "training.epochs": 20,
    "learning_rate.adapter": 2e-3,
    "learning_rate.head": 1e-3,
}
QNLI = PUBLISHED | {
    "init.name": "randn",
    "data.name": "qnli",
    "training.epochs": 15,
    "learning_rate.adapter": 2e-3,
    "learning_rate.head": 6e-4,
}


def value_of(config: Any, name: str) -> Any:
    """The value of a dotted name."""
    return functools.reduce(getattr, name.split("."), config)


PRESETS = [*OPTIONS_OF_GROUP["sweep"], *OPTIONS_OF_GROUP["search"]]
OF_A_RUN = [own for group, own in OPTIONS_OF_GROUP.items() if group not in ("sweep", "search")]


@pytest.mark.parametrize("preset", PRESETS)
def test_preset_composes_and_is_valid(preset: str, composed: Callable[..., RunConfig]) -> None:
    assert isinstance(composed(preset), RunConfig)


@pytest.mark.parametrize("number", range(max(map(len, OF_A_RUN))))
def test_option_composes_and_is_valid(number: int, composed: Callable[..., RunConfig]) -> None:
    """The options of that number of all groups at once, which must fit together."""
    options = [own[number] for own in OF_A_RUN if number < len(own)]
    needed = [setting for option in options for setting in NEEDED.get(option, [])]
    assert isinstance(composed(*options, *needed), RunConfig)


def test_plain_field_shares_no_name_with_a_group() -> None:
    plain = {
        field.name
        for field in dataclasses.fields(RunConfig)
        if not dataclasses.is_dataclass(field.type)
    }
    assert {"lr", "seed"} <= plain
    assert not plain & set(GROUPS)


@pytest.mark.parametrize(
    "setting",
    [
        *("rank.min=6", "rank.max=24", "rank.average=19"),
        *("alpha.min=0.7", "alpha.max=4.0", "alpha.schedule=cosine"),
        *("learning_rate.adapter=0.3", "learning_rate.head=0.4"),
        "learning_rate.schedule=constant",
        *("training.epochs=7", "training.epochs_discrete=2", "training.batch_size=8"),
        *("model.path=/some/folder", "model.name=some/model"),
        *("device=cpu", "precision=bfloat16", "lr=0.5", "seed=7", "n_seeds=3"),
        *("finished=overwrite", "paths.outputs=there", "paths.sweep=mine"),
    ],
)
def test_setting_is_known_by_its_name(setting: str, composed: Callable[..., RunConfig]) -> None:
    name, value = setting.split("=")
    assert str(value_of(composed(setting), name)) == value


def test_cola_folder_is_known_by_its_name(composed: Callable[..., RunConfig]) -> None:
    assert value_of(composed("data=cola", "data.path=raw"), "data.path") == "raw"


@pytest.mark.parametrize(
    ("experiment", "protocol"),
    [("cola", PUBLISHED), ("cola_50", COLA_50), ("sst2", SST2), ("qnli", QNLI)],
)
def test_experiment_equals_published_protocol(
    experiment: str, protocol: dict[str, Any], composed: Callable[..., RunConfig]
) -> None:
    config = composed(f"experiment={experiment}")
    assert {name: value_of(config, name) for name in protocol} == protocol


@pytest.mark.parametrize(
    ("option", "start", "end"),
    [("constant", 20, 20), ("grow", 5, 20), ("shrink", 25, 20)],
)
def test_budget_follows_the_rank_range(
    option: str, start: float, end: float, composed: Callable[..., RunConfig]
) -> None:
    budget = composed(f"budget={option}").budget
    assert (budget.start_average, budget.end_average) == (start, end)


def test_launcher_and_sweeper_are_the_documented_ones() -> None:
    with initialize_config_dir(CONF):
        choices = compose("config", return_hydra_config=True).hydra.runtime.choices
    assert (choices["hydra/launcher"], choices["hydra/sweeper"]) == ("pack", "grids")


def test_initializations_sweep_is_the_study_grid() -> None:
    with initialize_config_dir(CONF):
        config = compose("config", ["sweep=initializations"], return_hydra_config=True)
    seeds = "0,1,2,3,4"
    assert OmegaConf.to_object(config.hydra.sweeper.grids) == [
        {
            "init": "uniform,randn,quadratic,left_skewed",
            "lr": "0.001,0.002,0.005,0.01,0.02",
            "seed": seeds,
        },
        {"init": "fixed", "rank": "fixed_20", "seed": seeds},
        {"init": "fixed", "rank": "fixed_25", "seed": seeds},
    ]
