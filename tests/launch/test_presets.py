"""The presets in conf/hydra/launcher: each composes, and is what the launcher takes."""

import functools
from pathlib import Path
from typing import Any

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig, OmegaConf

from lora_sweep.config.store import CONF
from lora_sweep.launch.executors.engine import DEFAULTS
from lora_sweep.launch.pack import PackLauncher

PRESETS = sorted(path.stem for path in Path(CONF, "hydra", "launcher").glob("*.yaml"))


@functools.cache
def composed(name: str) -> DictConfig:
    with initialize_config_dir(CONF):
        return compose("config", [f"hydra/launcher={name}"], return_hydra_config=True)


def launcher(name: str) -> dict[str, Any]:
    """What stands under `hydra.launcher` with that preset."""
    settings: Any = OmegaConf.to_container(composed(name).hydra.launcher)
    return dict(settings)


@pytest.mark.parametrize("name", PRESETS)
def test_preset_changes_only_what_the_launcher_knows(name: str) -> None:
    settings = launcher(name)
    assert set(settings) == set(launcher("pack"))
    engine = settings["executor"]
    assert set(settings[engine]) == set(DEFAULTS[engine])
    assert settings.pop("_target_").endswith("PackLauncher")
    assert PackLauncher(**settings).engine.name == engine


def test_every_engine_but_local_has_a_preset() -> None:
    assert {launcher(name)["executor"] for name in PRESETS} == set(DEFAULTS)
