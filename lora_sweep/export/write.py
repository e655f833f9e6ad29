"""Writes an export: a folder that appears whole or not at all."""

import dataclasses
import tempfile
from pathlib import Path

from lora_sweep.errors import StorageError
from lora_sweep.export.card import model_card
from lora_sweep.export.stock import write_merged, write_peft, write_rank_pattern
from lora_sweep.files import UNFINISHED, write_text, writing
from lora_sweep.models.base import load_tokenizer
from lora_sweep.models.classifier import stock_head
from lora_sweep.models.hub_names import hub_model
from lora_sweep.rules import require
from lora_sweep.trained.about import About, write_about
from lora_sweep.trained.adapter import TrainedAdapter, write_adapter
from lora_sweep.vocabulary import RANK_PATTERN

CARD_FILE = "README.md"
_STOCK_KINDS = ("peft", "merged")


def write_export(
    adapter: TrainedAdapter,
    kind: str,
    folder: Path,
    *,
    base: Path,
    cache_dir: Path,
    uniform_rank: bool = False,
) -> list[Path]:
    """Writes an export of a run, and returns its files.

    Args:
        adapter: what the run trained.
        kind: one of `EXPORT_KINDS`.
        folder: where to; must not be there, or be empty.
        base: folder of the run's base.
        cache_dir: where factors are kept.
        uniform_rank: whether all pairs of a `peft` export get one rank, by zeros.

    Raises:
        SettingError: one rank is asked of another kind.
        StorageError: the folder holds something, or can't be written.
        BaseModelError: the family's own head can't compute what the run's does.
    """
    require(kind == "peft" or not uniform_rank, "--to", "peft with --uniform-rank", kind)
    check_out(folder)
    base = base.resolve()
    adapter = dataclasses.replace(adapter, about=_exported(adapter.about, kind, base))
    settings = adapter.about.settings
    place = stock_head(base, settings["model.pooling"]) if kind in _STOCK_KINDS else None
    hub = hub_model(settings["model.name"], settings["model.path"], base)
    with writing(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
    with (
        writing(folder),
        tempfile.TemporaryDirectory(dir=folder.parent, prefix=UNFINISHED) as unfinished,
    ):
        inside = Path(unfinished) / folder.name
        inside.mkdir()
        if kind == "loraxs":
            write_adapter(inside, adapter)
        elif kind == RANK_PATTERN:
            write_rank_pattern(inside, adapter)
        elif kind == "merged":
            write_merged(inside, adapter, base, cache_dir)
        else:
            write_peft(inside, adapter, base, cache_dir, hub=hub, uniform_rank=uniform_rank)
        if kind in _STOCK_KINDS:
            load_tokenizer(base).save_pretrained(inside)
        write_text(inside / CARD_FILE, model_card(adapter.about, place, hub))
        write_about(inside, adapter.about)
        inside.replace(folder)  # an empty folder there is replaced
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _exported(about: About, kind: str, base: Path) -> About:
    """What the export says of the run.

    A relative path of the base would mean another folder elsewhere, or a model of the hub.
    """
    settings = dict(about.settings)
    if settings["model.path"] is not None:
        settings["model.path"] = str(base)
    return dataclasses.replace(about, kind=kind, settings=settings)


def check_out(folder: Path) -> None:
    """Checks that nothing would be overwritten.

    Raises:
        StorageError: there is a file, or a folder that holds something.
    """
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        raise StorageError(f"--out must be a folder, but got {folder}, which is something else")
    if folder.is_dir() and any(folder.iterdir()):
        raise StorageError(
            f"--out must be a new or an empty folder, but got {folder}, which holds "
            f"{next(folder.iterdir()).name}: choose another, or remove it"
        )
