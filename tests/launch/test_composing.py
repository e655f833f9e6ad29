"""A sweep's jobs, composed quickly: the configs of Hydra's own loader."""

import dataclasses
import functools
from collections.abc import Iterator

import pytest
from hydra import initialize_config_dir
from hydra._internal.callbacks import Callbacks
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException
from hydra.types import HydraContext, RunMode
from omegaconf import DictConfig, OmegaConf

from lora_sweep.config.run import RunConfig
from lora_sweep.config.store import CONF
from lora_sweep.launch.composing import VALUES, Composer, pickled
from lora_sweep.launch.jobs_under_way import NumberedJob


@pytest.fixture(scope="module", autouse=True)
def hydra() -> Iterator[None]:
    with initialize_config_dir(CONF):
        yield


@functools.cache
def master_of(*overrides: str) -> DictConfig:
    """The config of the sweep that they start, with what Hydra does once it has composed it."""
    loader = GlobalHydra.instance().config_loader()
    master = loader.load_configuration("config", list(overrides), RunMode.MULTIRUN)
    master.hydra.mode = RunMode.MULTIRUN
    OmegaConf.set_readonly(master.hydra, True)
    return master


def composer_of(*overrides: str) -> Composer:
    """Of that sweep, with nothing composed yet."""
    loader = GlobalHydra.instance().config_loader()
    return Composer(HydraContext(loader, Callbacks()), master_of(*overrides))


@pytest.fixture
def composer() -> Composer:
    """Of a sweep with one option of Hydra's own."""
    return composer_of("hydra/launcher=pack", "paths.sweep=s")


@pytest.fixture
def asked(composer: Composer, monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The overrides of every config that Hydra's loader composes for the sweep's jobs."""
    asked: list[list[str]] = []
    loader = composer.context.config_loader
    whole = loader.load_sweep_config

    def counted(master: DictConfig, overrides: list[str]) -> DictConfig:
        asked.append(overrides)
        return whole(master, overrides)

    monkeypatch.setattr(loader, "load_sweep_config", counted)
    return asked


@pytest.mark.parametrize(
    "overrides",
    [
        (),
        ("lr=0.002", "seed=3", "paths.sweep=s"),
        ("init=quadratic", "lr=0.002", "rank.max=7", "rank=fixed_20"),
        ("data=files", "data.dev='a b.csv'", "data.metric=null"),
        ("init=values", "init.values=[0.5,1,-2e-1]", "model.adapted=[query]"),
        ("++data.n_train=8", "training.epochs=${training.batch_size}"),
        ("hydra.job.name=other", "device=cpu"),
    ],
)
def test_config_is_that_of_hydras_loader(composer: Composer, overrides: tuple[str, ...]) -> None:
    loader = composer.context.config_loader
    expected = loader.load_sweep_config(composer.master, list(overrides))
    for _ in range(2):  # the second time from what was kept
        assert composer.compose(overrides) == expected


def test_configs_are_their_owners_alone(composer: Composer) -> None:
    first, second = composer.compose(("lr=0.1",)), composer.compose(("lr=0.2",))
    first.rank.max = 3
    assert (second.lr, second.rank.max) == (0.2, composer.compose(()).rank.max)


def test_kept_job_is_the_config_with_its_number(composer: Composer) -> None:
    config = composer.compose(("lr=0.1",))
    job = NumberedJob(pickled(config), 7, "randn-seed0").config()
    numbered = job.hydra.job
    assert (numbered.id, numbered.num, job.hydra.sweep.subdir) == ("7", 7, "randn-seed0")
    assert OmegaConf.masked_copy(job, ["lr", "rank"]) == OmegaConf.masked_copy(
        config, ["lr", "rank"]
    )
    nameless = NumberedJob(pickled(config), 7).config()
    subdirs = [OmegaConf.to_container(one.hydra.sweep)["subdir"] for one in (nameless, config)]
    assert subdirs[0] == subdirs[1] != "randn-seed0"


@pytest.mark.parametrize(
    "override", ["lr=many", "training.epoch=3", "rank.max.deep=1", "device=gpu"]
)
def test_error_is_that_of_hydras_loader(composer: Composer, override: str) -> None:
    loader = composer.context.config_loader
    errors = []
    for compose in (
        composer.compose,
        lambda own: loader.load_sweep_config(composer.master, list(own)),
    ):
        with pytest.raises(HydraException) as caught:
            compose((override,))
        errors.append((str(caught.value), str(caught.value.__cause__)))
    assert errors[0] == errors[1]


def test_options_are_composed_once(composer: Composer, asked: list[list[str]]) -> None:
    for init in ("uniform", "randn"):
        for seed in range(3):
            composer.compose((f"init={init}", f"seed={seed}"))
    assert asked == [["init=uniform"], ["init=randn"]]


GIVEN = ("hydra.mode=MULTIRUN",)
"""What Hydra notes by itself; a command may also have it."""


@pytest.mark.parametrize(
    ("mode", "job", "n_composed"),
    [
        ((), ("rank=fixed_20", "init=randn", "lr=0.2", "seed=1", "model.dropout=0.5"), 0),
        (GIVEN, ("rank=fixed_20", "init=randn", "lr=0.2", "seed=1", "model.dropout=0.5"), 0),
        ((), ("init=randn", "rank=fixed_20", "lr=0.2"), 1),  # the last option holds
        ((), ("rank=fixed_20", "init=randn", "seed=1"), 1),  # a grid may leave out the sweep's lr
        (GIVEN, ("rank=fixed_20", "init=uniform", "lr=0.2"), 1),
    ],
)
def test_options_of_the_sweep_are_not_composed_again(
    mode: tuple[str, ...], job: tuple[str, ...], n_composed: int, asked: list[list[str]]
) -> None:
    composer = composer_of("rank=fixed_20", "init=randn", "lr=0.1", "seed=0,1", *mode)
    config = composer.compose(job)
    assert len(asked) == n_composed
    assert config == composer.context.config_loader.load_sweep_config(composer.master, list(job))


def test_values_are_the_settings_without_a_group(composer: Composer) -> None:
    config = composer.compose(())
    plain = {
        field.name
        for field in dataclasses.fields(RunConfig)
        if not OmegaConf.is_dict(config[field.name])
    }
    assert set(VALUES) == plain
