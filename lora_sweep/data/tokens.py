"""Labelled texts -> token ids, without padding, kept on disk.

Texts lie one behind the other: text i has the tokens ids[offsets[i] : offsets[i + 1]]. The cache
file's name is the SHA-256 of all that decides the tokens: the texts, the tokenizer, the limit, and
this file's format. Labels are not in the cache.
"""

import hashlib
import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lora_sweep.data.corpus import LabelledTexts
from lora_sweep.errors import BaseModelError, CorpusError, SettingError
from lora_sweep.tensor_files import kept_tensors

FORMAT_VERSION = 2

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class TokenisedTexts:
    """One split as tokens; special tokens included.

    Attributes:
        ids: token ids of all texts (n_tokens,), int32.
        types: segment of every token (n_tokens,), int32; None for models without segments.
        offsets: where each text starts, and the end of the last (n_texts + 1,), int64.
        labels: (n_texts,), int64 for classes, float32 for regression.
    """

    ids: Tensor
    types: Tensor | None
    offsets: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def lengths(self) -> Tensor:
        """Tokens of every text (n_texts,), int64."""
        return self.offsets.diff()


def tokenizer_fingerprint(tokenizer: Any) -> str:
    """Returns the SHA-256 (hex) of all that decides a tokenizer's output but the length limit.

    Args:
        tokenizer: a transformers tokenizer with a backend of the tokenizers library.

    Raises:
        BaseModelError: it has no such backend.
    """
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None:
        raise BaseModelError(
            "the tokenizer must be a fast one (tokenizer.json), but got "
            f"{type(tokenizer).__name__}"
        )
    content = json.loads(backend.to_str())
    # Every call leaves its truncation and padding in there.
    del content["truncation"], content["padding"]
    sides = (tokenizer.truncation_side, tokenizer.model_input_names)
    return hashlib.sha256(json.dumps([content, sides], sort_keys=True).encode()).hexdigest()


def tokenise(
    texts: LabelledTexts,
    tokenizer: Any,
    *,
    max_length: int,
    cache_dir: Path | None,
    tokenizer_fingerprint: str,
) -> TokenisedTexts:
    """Returns the texts as tokens, cut to a length limit, from the cache where they are there.

    Several processes may ask for the same texts at once: one of them works.

    Args:
        texts: sentences or pairs; of a pair, the longer one is cut.
        tokenizer: a transformers tokenizer.
        max_length: most tokens of a text (or pair), special tokens included.
        cache_dir: folder that holds `tokens/`; None keeps nothing.
        tokenizer_fingerprint: the tokenizer's, by the function of that name.

    Raises:
        SettingError: max_length leaves no room beside the special tokens.
        CorpusError: a text without a single token.
        StorageError: the tokens are not in the cache, and can't be written to it.
    """
    n_special = tokenizer.num_special_tokens_to_add(pair=texts.pairs is not None)
    if max_length <= n_special:
        raise SettingError(
            f"max_length must be above the {n_special} special tokens, but got {max_length}"
        )
    if cache_dir is None:
        tensors = _encode(texts, tokenizer, max_length)
    else:
        key = _cache_key(texts, tokenizer_fingerprint, max_length)
        path = cache_dir / "tokens" / f"{key}.safetensors"
        tensors = _cached(path, texts, tokenizer, max_length)
    kind = torch.float32 if isinstance(texts.labels[0], float) else torch.int64
    labels = torch.tensor(texts.labels, dtype=kind)
    return TokenisedTexts(tensors["ids"], tensors.get("types"), tensors["offsets"], labels)


def _cache_key(texts: LabelledTexts, fingerprint: str, max_length: int) -> str:
    digest = hashlib.sha256()
    # One JSON value a line can't be read in two ways.
    for value in (FORMAT_VERSION, fingerprint, max_length, texts.texts, texts.pairs):
        digest.update(json.dumps(value).encode() + b"\n")
    return digest.hexdigest()


def _cached(
    path: Path, texts: LabelledTexts, tokenizer: Any, max_length: int
) -> dict[str, Tensor]:
    """Returns the tensors of the cache file, which is written first where it is not there."""

    def is_of_texts(tensors: Mapping[str, Tensor]) -> bool:
        offsets = tensors["offsets"]
        return len(offsets) == len(texts) + 1 and int(offsets[-1]) == len(tensors["ids"])

    return kept_tensors(
        path,
        lambda: _encode(texts, tokenizer, max_length),
        check=is_of_texts,
        consequence="the tokens are made anew",
    )


def _encode(texts: LabelledTexts, tokenizer: Any, max_length: int) -> dict[str, Tensor]:
    """Returns ids, offsets and, for models that have them, types."""
    names = {"ids": "input_ids"}
    if "token_type_ids" in tokenizer.model_input_names:
        names["types"] = "token_type_ids"
    encoded = tokenizer(
        list(texts.texts),
        None if texts.pairs is None else list(texts.pairs),
        truncation="longest_first",
        max_length=max_length,
        padding=False,
        return_attention_mask=False,
        return_token_type_ids="types" in names,
    )
    lengths = [len(ids) for ids in encoded["input_ids"]]
    if 0 in lengths:
        row = lengths.index(0)
        raise CorpusError(f"row {row + 1} has no tokens: {texts.words(row)}")
    _log_truncated(texts, tokenizer, lengths, max_length)
    tensors = {name: _flat(encoded[key]) for name, key in names.items()}
    tensors["offsets"] = torch.tensor([0, *accumulate(lengths)], dtype=torch.int64)
    return tensors


def _flat(rows: Sequence[Sequence[int]]) -> Tensor:
    return torch.tensor([token for row in rows for token in row], dtype=torch.int32)


def _log_truncated(
    texts: LabelledTexts, tokenizer: Any, lengths: Sequence[int], max_length: int
) -> None:
    full = [row for row, length in enumerate(lengths) if length == max_length]
    if not full:
        return
    # A text of just the limit may be whole: only those are looked at once more.
    some = texts.rows(full)
    pairs = None if some.pairs is None else list(some.pairs)
    whole = tokenizer(list(some.texts), pairs, truncation=False, verbose=False)
    n_truncated = sum(len(ids) > max_length for ids in whole["input_ids"])
    log.info("%d of %d texts were cut to %d tokens", n_truncated, len(texts), max_length)
