"""Where a run's numbers come from: its fingerprint, and code, packages and device behind it."""

import dataclasses
import hashlib
import json
import platform
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

import lora_sweep
from lora_sweep.config.run import RunConfig, identity
from lora_sweep.rules import absolute
from lora_sweep.store.calibration import CalibrationRecord

RESULTS_VERSION = 2
"""Raised by every change of the code that changes the numbers of a run."""


@dataclass(frozen=True)
class RunOrigin:
    """What is known of a run before it trains: the parts of its record that do not change."""

    settings: dict[str, Any]
    fingerprint: str
    model_fingerprint: str
    corpus_fingerprint: str
    metric: str
    matrices: list[str]
    n_trained_params: dict[str, int]
    device: str
    versions: dict[str, str]
    git_commit: str | None
    label_names: list[str]
    calibration: CalibrationRecord | None = None
    rank_units: list[int] | None = None


def run_fingerprint(
    settings: dict[str, Any],
    model: str,
    corpus: str,
    sources: Mapping[str, str] | None = None,
) -> str:
    """Returns the SHA-256 of all that decides a run's numbers.

    Args:
        settings: of the run.
        model: fingerprint of the base.
        corpus: fingerprint of the corpus.
        sources: settings that name runs that it starts from -> their identity; None for none.
    """
    origin = [identity(settings), model, corpus, RESULTS_VERSION, dict(sources or {})]
    return hashlib.sha256(json.dumps(origin, sort_keys=True).encode()).hexdigest()


def sweep_origins(
    config: RunConfig, model: str, corpus: str, sources: Mapping[str, str]
) -> dict[str, str]:
    """Returns what a sweep with this run is of, in words -> fingerprint of its content.

    Args:
        config: of the run.
        model: fingerprint of the base.
        corpus: fingerprint of the corpus.
        sources: settings that name runs that it starts from -> their identity.
    """
    base = (
        config.model.name
        if config.model.path is None
        else absolute("model.path", config.model.path)
    )
    own = dataclasses.asdict(config.data) | dict(config.data.places())
    data = json.dumps(own, sort_keys=True)
    named = {"model.adapter": config.model.adapter, "init.run": config.init.run}
    key = hashlib.sha256(data.encode()).hexdigest()[:8]
    return {
        "version of the code": str(RESULTS_VERSION),
        f"base model {base}": model,
        f"corpus {config.data.name} ({key})": corpus,
        **{f"{name} {named[name]}": found for name, found in sources.items()},
    }


def device_name(device: torch.device) -> str:
    """Returns a device's name as people know it."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"cpu ({torch.get_num_threads()} threads, {platform.machine()})"


@cache
def versions() -> dict[str, str]:
    """Returns the versions of Python and of the packages that the numbers depend on."""
    packages = ("torch", "transformers", "numpy", "scikit-learn")
    return {
        "lora_sweep": lora_sweep.__version__,
        "python": platform.python_version(),
        **{name: version(name) for name in packages},
    }


@cache
def git_commit() -> str | None:
    """Returns the commit of the checkout that the package lies in, or None outside of one.

    It ends in `+changes` if a tracked file was changed since.
    """
    here = Path(lora_sweep.__file__).parent
    try:
        commit = _git(here, "rev-parse", "HEAD")
        tracked = _git(here, "ls-files", "__init__.py")
        changed = _git(here, "status", "--porcelain", "--untracked-files=no")
    except (OSError, subprocess.CalledProcessError):
        return None
    return f"{commit}{'+changes' if changed else ''}" if tracked else None


def _git(folder: Path, *arguments: str) -> str:
    return subprocess.run(
        ["git", *arguments], cwd=folder, capture_output=True, text=True, check=True
    ).stdout.strip()
