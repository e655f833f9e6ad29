"""A run's folder or an export -> what it holds, or a classifier that predicts."""

import os
from pathlib import Path

import torch

from lora_sweep.errors import RecordError
from lora_sweep.rules import expand_home
from lora_sweep.store.finished import read_finished
from lora_sweep.trained.about import About, about_run, read_about
from lora_sweep.trained.adapted import base_of, load_adapted
from lora_sweep.trained.adapter import TrainedAdapter, adapter_of_run, read_adapter
from lora_sweep.trained.classifier import Classifier
from lora_sweep.trained.stock import load_merged, load_peft
from lora_sweep.vocabulary import EXPORT_FILE


def default_cache() -> Path:
    """Returns where factors are kept: LORA_SWEEP_CACHE, or the folder that runs use without it.

    Raises:
        SettingError: neither is known, for the user has no home.
    """
    place = os.environ.get("LORA_SWEEP_CACHE", "~/.cache/lora_sweep")
    return expand_home("LORA_SWEEP_CACHE", place)


def about_of(folder: Path) -> About:
    """Returns the origin and use of what a run's folder or an export holds, without its base.

    Raises:
        RecordError: it is neither, or something is damaged.
    """
    if (folder / EXPORT_FILE).exists():
        return read_about(folder)
    return about_run(read_finished(folder))


def open_adapter(folder: Path) -> TrainedAdapter:
    """Returns what a run trained, from its folder or a `loraxs` export of it.

    Raises:
        RecordError: no finished run, another kind of export, or something is damaged.
    """
    if not (folder / EXPORT_FILE).exists():
        return adapter_of_run(read_finished(folder))
    kind = read_about(folder).kind
    if kind != "loraxs":
        raise RecordError(
            f"{folder} must be a run's folder or a loraxs export, but got one of kind {kind}"
        )
    return read_adapter(folder)


def open_classifier(
    folder: Path, *, base: Path | None, cache_dir: Path | None = None, device: torch.device
) -> Classifier:
    """Returns a classifier from a run's folder or any export of one.

    Args:
        folder: of the run or the export.
        base: folder of the base, where it is not where the run found it; None else.
        cache_dir: where factors are kept; None for `default_cache()`. Only runs and `loraxs`
            exports need one.
        device: where it computes.

    Raises:
        LoraSweepError: something is missing, damaged or another's; the message says what to do.
    """
    kind = read_about(folder).kind if (folder / EXPORT_FILE).exists() else "run"
    if kind == "merged":
        return load_merged(folder, device)
    if kind == "peft":
        return load_peft(folder, base_of(read_about(folder), base), device)
    adapter = open_adapter(folder)
    found = base_of(adapter.about, base)
    return load_adapted(adapter, found, cache_dir=cache_dir or default_cache(), device=device)
