"""Writes an export: a folder that appears whole or not at all."""

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

from lora_sweep.export.card import model_card
from lora_sweep.export.stock import merged_model, peft_export
from lora_sweep.files import check_new_folder, new_folder, write_text
from lora_sweep.models.base import load_tokenizer
from lora_sweep.models.classifier import stock_head
from lora_sweep.models.hub_names import HubModel, hub_model
from lora_sweep.rules import require
from lora_sweep.trained.about import About, write_about
from lora_sweep.trained.adapter import TrainedAdapter, write_adapter
from lora_sweep.trained.open import default_cache
from lora_sweep.vocabulary import RANK_PATTERN

CARD_FILE = "README.md"
RANK_PATTERN_FILE = "rank_pattern.json"
_OUT = "--out"
_STOCK_KINDS = ("peft", "merged")


def write_export(
    adapter: TrainedAdapter,
    kind: str,
    folder: Path,
    *,
    base: Path,
    cache_dir: Path | None = None,
    uniform_rank: bool = False,
) -> list[Path]:
    """Writes an export of a run, and returns its files.

    Args:
        adapter: what the run trained.
        kind: one of `EXPORT_KINDS`.
        folder: where to; must not be there, or be empty.
        base: folder of the run's base.
        cache_dir: where factors are kept; None for `default_cache()`.
        uniform_rank: whether all pairs of a `peft` export get one rank, by zeros.

    Raises:
        SettingError: one rank is asked of another kind, the run's kind of adapter has no such
            export, or no place for factors is known.
        StorageError: the folder holds something, or can't be written.
        BaseModelError: the family's own head can't compute what the run's does.
    """
    require(kind == "peft" or not uniform_rank, "--to", "peft with --uniform-rank", kind)
    trained = adapter.about.adapter
    rule = f"one of {', '.join(trained.exports)} with a run of adapter={trained.name}"
    require(kind in trained.exports, "--to", rule, kind)
    check_new_folder(_OUT, folder)
    base = base.resolve()
    adapter = dataclasses.replace(adapter, about=_exported(adapter.about, kind, base))
    settings = adapter.about.settings
    place = stock_head(base, settings["model.pooling"]) if kind in _STOCK_KINDS else None
    hub = hub_model(settings["model.name"], settings["model.path"], base)
    write = _writer(adapter, kind, base, cache_dir, hub=hub, uniform_rank=uniform_rank)
    with new_folder(_OUT, folder) as inside:
        write(inside)
        write_text(inside / CARD_FILE, model_card(adapter.about, place, hub))
        write_about(inside, adapter.about)
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _writer(
    adapter: TrainedAdapter,
    kind: str,
    base: Path,
    cache_dir: Path | None,
    *,
    hub: HubModel | None,
    uniform_rank: bool,
) -> Callable[[Path], object]:
    """What fills a folder; all that it needs is read and computed by now."""
    if kind == "loraxs":
        return lambda folder: write_adapter(folder, adapter)
    if kind == RANK_PATTERN:
        return lambda folder: _write_rank_pattern(folder, adapter.about)
    cache_dir, tokenizer = cache_dir or default_cache(), load_tokenizer(base)
    if kind == "merged":
        write = merged_model(adapter, base, cache_dir).save_pretrained
    else:
        write = peft_export(adapter, base, cache_dir, hub=hub, uniform_rank=uniform_rank).write
    return lambda folder: (write(folder), tokenizer.save_pretrained(folder))


def _write_rank_pattern(folder: Path, about: About) -> None:
    """Writes the learnt ranks as PEFT's `LoraConfig(rank_pattern=...)` takes them.

    PEFT compares the ends of module names, so the names within the encoder fit every model that
    holds it.
    """
    ranks = dict(zip(about.matrices, about.integer_ranks, strict=True))
    write_text(folder / RANK_PATTERN_FILE, json.dumps(ranks, indent=1))


def _exported(about: About, kind: str, base: Path) -> About:
    """What the export says of the run.

    A relative path of the base would mean another folder elsewhere, or a model of the hub.
    """
    settings = dict(about.settings)
    if settings["model.path"] is not None:
        settings["model.path"] = str(base)
    return dataclasses.replace(about, kind=kind, settings=settings)
