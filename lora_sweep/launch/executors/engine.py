"""`hydra.launcher.executor=NAME` -> the executor of that name, made of its settings."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from lora_sweep.errors import SettingError
from lora_sweep.execution.protocols import Executor
from lora_sweep.extras import install_command
from lora_sweep.rules import require, require_count

NAMES = ("local", "joblib", "submitit", "ray")
AUTO = "auto"
MOST_WORKERS = 1_000
"""Of one device: each is a process."""
DEFAULTS: dict[str, dict[str, Any]] = {
    "joblib": {"n_jobs": -1},
    "submitit": {
        "cluster": "auto",
        "max_queued": 64,
        "parameters": {"timeout_min": 60},
    },
    "ray": {
        "address": "local",
        "cpus_per_pack": 1,
        "gpus_per_pack": 0,
        "max_packs": None,
        "init": {},
    },
}
"""What stands under `hydra.launcher` for each engine, unless a preset says otherwise."""


@dataclass(frozen=True)
class Engine:
    """What stands under `hydra.launcher` about who trains the packs.

    Attributes:
        name: one of `NAMES`.
        devices: of `local`, what torch is shown: numbers of CUDA devices, or `cpu`; `auto` for
            all that are there.
        packs_per_device: of `local`, workers that share a device.
        settings: of `joblib`, `submitit` and `ray`, each one's own.

    Raises:
        SettingError: a setting breaks its rule, or the engine's package is not installed.
    """

    name: str = "local"
    devices: str | list[int | str] = AUTO
    packs_per_device: int = 1
    settings: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        require(self.name in NAMES, "hydra.launcher.executor", ", ".join(NAMES), self.name)
        is_list = isinstance(self.devices, list) and bool(self.devices)
        are_known = is_list and all(one == "cpu" or _is_count(one, 0) for one in self.devices)
        rule = "auto, or a list of CUDA devices' numbers or cpu"
        require(self.devices == AUTO or are_known, "hydra.launcher.devices", rule, self.devices)
        is_number = _is_count(self.packs_per_device, 1)
        name = "hydra.launcher.packs_per_device"
        require(is_number, name, "an integer of at least 1", self.packs_per_device)
        require_count(name, self.packs_per_device, 1, MOST_WORKERS)
        self._check_others()
        if self.name != "local" and find_spec(self.name) is None:
            raise SettingError(
                f"hydra.launcher.executor must be installed, but got {self.name}: "
                f"{install_command(self.name)}"
            )

    def _check_others(self) -> None:
        """Checks that nothing is set for another executor: it would do nothing."""
        given = [
            ("local", "devices", self.devices, AUTO),
            ("local", "packs_per_device", self.packs_per_device, 1),
        ]
        for name, defaults in DEFAULTS.items():
            for key, value in self.settings.get(name, {}).items():
                given.append((name, f"{name}.{key}", value, defaults.get(key)))
        for name, key, value, default in given:
            rule = f"left out unless hydra.launcher.executor={name}"
            require(name == self.name or value == default, f"hydra.launcher.{key}", rule, value)

    def executor(
        self, sweep_dir: Path, at_end: Callable[[], None] | None = None
    ) -> Executor | None:
        """Returns who trains the packs; None for this process.

        Args:
            sweep_dir: where submitit may leave its jobs' files.
            at_end: called by each job of submitit's at its end; None for nothing.

        Raises:
            SettingError: what is asked for is not to be had.
        """
        own = self.settings.get(self.name, {})
        match self.name:
            case "joblib":
                from lora_sweep.launch.executors.joblib import on_processes

                return on_processes(**own)
            case "submitit":
                from lora_sweep.launch.executors.submitit import SubmititExecutor, nothing

                return SubmititExecutor(sweep_dir, at_end=at_end or nothing, **own)
            case "ray":
                from lora_sweep.launch.executors.ray import RayExecutor

                return RayExecutor(**own)
        from lora_sweep.launch.executors.local import on_devices

        return on_devices(self.devices, self.packs_per_device)


def _is_count(value: object, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= least
