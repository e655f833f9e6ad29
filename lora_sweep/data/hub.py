"""GLUE's tables from the datasets library's cache, or from the Hugging Face hub.

The cache comes first, and is read directly: the library itself asks the hub before it looks there,
which takes half a minute of retries where there is no network.
"""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lora_sweep.errors import CorpusError

GLUE_REPOSITORY = "nyu-mll/glue"
_CACHED_AS = ("nyu-mll___glue", "glue")
"""Folders of its cache: that of its name today, and that of `load_dataset("glue", ...)`."""
_PATIENCE_SECONDS = 10

log = logging.getLogger(__name__)

Columns = Mapping[str, Sequence[Any]]


def glue_is_cached(name: str, splits: Sequence[str] = ("train",)) -> bool:
    """Returns whether a GLUE task was downloaded before; asks no network.

    Args:
        name: the task's name on the hub.
        splits: the hub's names of the splits that have to be there.
    """
    return _cached_files(name, splits) is not None


def glue_tables(name: str, splits: Sequence[str]) -> dict[str, Columns]:
    """Returns split -> columns by name, from the cache or else from the hub.

    Args:
        name: the task's name on the hub.
        splits: the hub's names of the splits.

    Raises:
        CorpusError: neither cached nor reachable; the message says what to do.
    """
    from datasets import Dataset, concatenate_datasets

    cached = _cached_files(name, splits)
    if cached is None:
        downloaded = _download(name)
        return {split: _columns(downloaded[split]) for split in splits}
    return {
        split: _columns(concatenate_datasets([Dataset.from_file(str(file)) for file in files]))
        for split, files in cached.items()
    }


def _columns(table: Any) -> Columns:
    return {name: table[name][:] for name in table.column_names}


def _cached_files(name: str, splits: Sequence[str]) -> dict[str, list[Path]] | None:
    """Returns split -> Arrow files of the newest whole copy; None where there is none."""
    from datasets import config

    # <cache>/nyu-mll___glue/<task>/<version>/<commit>/glue-<split>[-<shard>-of-<n>].arrow
    roots = [Path(config.HF_DATASETS_CACHE, folder, name) for folder in _CACHED_AS]
    copies = [path.parent for root in roots for path in root.glob("*/*/dataset_info.json")]
    # A download in progress has its own folder, `<commit>.incomplete`.
    whole = [path for path in copies if not path.name.endswith(".incomplete")]
    for copy in sorted(whole, key=lambda path: path.stat().st_mtime, reverse=True):
        files = {
            split: sorted([*copy.glob(f"glue-{split}.arrow"), *copy.glob(f"glue-{split}-*.arrow")])
            for split in splits
        }
        if all(files.values()):
            return files
    return None


def _download(name: str) -> Mapping[str, Any]:
    from datasets import load_dataset
    from datasets.exceptions import DatasetNotFoundError
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError

    # That of httpx or of httpx2, whichever this version of the hub's client uses.
    http_error: type[Exception] = HfHubHTTPError.__mro__[1]
    try:
        # Asked once and with a limit, for load_dataset retries for half a minute.
        HfApi().dataset_info(GLUE_REPOSITORY, timeout=_PATIENCE_SECONDS)
        log.info("downloading GLUE's %s", name)
        tables: Mapping[str, Any] = load_dataset(GLUE_REPOSITORY, name)
    except (OSError, http_error, DatasetNotFoundError) as error:
        raise CorpusError(
            f"GLUE's {name} is neither in the cache nor can it be downloaded "
            f"({type(error).__name__}). Load it once where there is a network "
            f"(datasets.load_dataset({GLUE_REPOSITORY!r}, {name!r}) fills the cache), or set "
            "data.path=FOLDER to CoLA's own files, or use the embedded corpus: "
            "data=minimal_pairs"
        ) from error
    return tables
