"""A model of the hub as a folder: a whole snapshot in the hub's cache, else a download.

The cache keeps `models--OWNER--NAME/snapshots/COMMIT`, and in `refs/main` the newest commit that
the hub has told. Programs load what they need, so a snapshot may have a tokeniser alone.
"""

import logging
from pathlib import Path

from lora_sweep.errors import BaseModelError
from lora_sweep.models.parts import CONFIG, folder_fault, names_fault

_FILES = ["*.json", "*.safetensors", "*.txt", "*.model"]
_PATIENCE_SECONDS = 10.0

log = logging.getLogger(__name__)


def snapshot_of(folder: Path) -> tuple[str, str] | None:
    """Returns name (`OWNER/NAME`) and commit of the snapshot that a folder is; None for others.

    Args:
        folder: in the hub's cache, or anywhere else.
    """
    kind, *parts = folder.parent.parent.name.split("--")
    if folder.parent.name != "snapshots" or kind != "models" or not all([parts, *parts]):
        return None
    return "/".join(parts), folder.name


def whole_snapshot(name: str) -> Path:
    """Returns a whole snapshot of a hub model.

    The newest that is cached, if it is whole, without a request; else the hub completes it; else
    another one that is whole, and the log says so.

    Args:
        name: `OWNER/NAME`.

    Raises:
        BaseModelError: the name is none, or no snapshot is whole and none can be downloaded; says
            what is missing and what to do.
    """
    newest = _newest(name)
    if newest is not None and folder_fault(newest) is None:
        return newest
    try:
        return _downloaded(name)
    except BaseModelError as error:
        for folder in _cached(name):
            if folder_fault(folder) is None:
                log.warning("taking the snapshot %s from the cache: %s", folder.name, error)
                return folder
        raise


def _newest(name: str) -> Path | None:
    """The snapshot that the hub's main branch had when it was asked last, if it has a config."""
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    try:
        file = try_to_load_from_cache(name, CONFIG)
    except HFValidationError as error:
        raise BaseModelError(
            f"model.name must be a model of the hub: {error}{_or_folder(name)}"
        ) from error
    return Path(file).parent if isinstance(file, str) else None


def _cached(name: str) -> list[Path]:
    """All snapshots that are cached, the newest first."""
    from huggingface_hub import constants
    from huggingface_hub.file_download import repo_folder_name

    cache = Path(constants.HF_HUB_CACHE, repo_folder_name(repo_id=name, repo_type="model"))
    folders = (cache / "snapshots").glob("*")
    return sorted(folders, key=lambda folder: folder.stat().st_mtime, reverse=True)


def _downloaded(name: str) -> Path:
    """The hub's newest snapshot, downloaded if it holds a base."""
    from huggingface_hub import HfApi, snapshot_download
    from huggingface_hub import errors as hub_errors

    # The hub's HTTP library changes its name between versions; its base error is found here.
    http_error: type[Exception] = vars(hub_errors)["HTTPError"]
    try:
        # Asked once and with a limit, for a download retries for long.
        listed = HfApi().model_info(name, timeout=_PATIENCE_SECONDS).siblings or []
        fault = names_fault({file.rfilename for file in listed}, "the hub")
        if fault is None:
            log.info("downloading %s from the hub", name)
            folder = Path(snapshot_download(name, allow_patterns=_FILES))
            fault = folder_fault(folder)
    except hub_errors.RepositoryNotFoundError as error:
        raise BaseModelError(_not_shown(name, error)) from error
    except (http_error, OSError) as error:
        raise BaseModelError(_unreachable(name, error)) from error
    if fault is not None:
        raise BaseModelError(f"model.name={name} {fault}")
    return folder


def _not_shown(name: str, error: Exception) -> str:
    from huggingface_hub.errors import GatedRepoError

    if isinstance(error, GatedRepoError):
        return (
            f"model.name={name} must be open to you, but the hub wants its terms accepted: do so "
            f"on https://huggingface.co/{name}, then log in with `hf auth login`"
        )
    return (
        f"model.name must be a model of the hub, but got {name}, which is not there or private: "
        f"look at the spelling, or log in with `hf auth login`{_or_folder(name)}"
    )


def _unreachable(name: str, error: Exception) -> str:
    partial = _newest(name) or next(iter(_cached(name)), None)
    fault = None if partial is None else folder_fault(partial)
    cached = "is neither cached" if fault is None else f"is cached in part alone ({fault})"
    joint = "nor" if fault is None else "and the hub is not"
    return (
        f"model.name={name} {cached} {joint} reachable ({type(error).__name__}): download it "
        f"once where there is a network (`hf download {name}`), or give its folder with "
        f"model.path=DIR, or use the embedded model with model=minilm{_or_folder(name)}"
        f"{_or_namesake(name)}"
    )


def _or_folder(name: str) -> str:
    is_folder = Path(name).expanduser().is_dir()
    return f". A folder of that name is here: model.path={name}" if is_folder else ""


def _or_namesake(name: str) -> str:
    """The model under its other name: many had none of an owner before."""
    from huggingface_hub import constants

    folders = Path(constants.HF_HUB_CACHE).glob("models--*")
    cached = {"/".join(folder.name.split("--")[1:]) for folder in folders}
    own = name.rpartition("/")[2]
    others = sorted(other for other in cached - {name} if other.rpartition("/")[2] == own)
    return f". The cache has model.name={' and '.join(others)}" if others else ""
