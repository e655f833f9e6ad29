"""Writes an export: a folder that appears whole or not at all."""

import dataclasses
import tempfile
from pathlib import Path

from lora_sweep.errors import StorageError
from lora_sweep.export.card import model_card
from lora_sweep.export.stock import write_merged, write_peft
from lora_sweep.files import UNFINISHED, write_text, writing
from lora_sweep.models.base import load_tokenizer
from lora_sweep.models.classifier import stock_head
from lora_sweep.trained.about import write_about
from lora_sweep.trained.adapter import TrainedAdapter, write_adapter

CARD_FILE = "README.md"


def write_export(
    adapter: TrainedAdapter, kind: str, folder: Path, *, base: Path, cache_dir: Path
) -> list[Path]:
    """Writes an export of a run, and returns its files.

    Args:
        adapter: what the run trained.
        kind: `peft`, `merged` or `loraxs`.
        folder: where to; must not be there, or be empty.
        base: folder of the run's base.
        cache_dir: where factors are kept.

    Raises:
        StorageError: the folder holds something, or can't be written.
        BaseModelError: the family's own head can't compute what the run's does.
    """
    check_out(folder)
    adapter = dataclasses.replace(adapter, about=dataclasses.replace(adapter.about, kind=kind))
    pooling = adapter.about.settings["model.pooling"]
    place = None if kind == "loraxs" else stock_head(base, pooling)
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
        else:
            write = write_merged if kind == "merged" else write_peft
            write(inside, adapter, base, cache_dir)
            load_tokenizer(base).save_pretrained(inside)
        write_text(inside / CARD_FILE, model_card(adapter.about, place))
        write_about(inside, adapter.about)
        inside.replace(folder)  # an empty folder there is replaced
    return sorted(path for path in folder.rglob("*") if path.is_file())


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
