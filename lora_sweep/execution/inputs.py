"""What a run needs from disk, loaded once a process: corpus, tokens, adapted encoder.

All runs of a sweep in one process share what is here, so the second one starts at once.
"""

import logging
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from torch import nn

from lora_sweep.adapters.factors.factoriser import Factoriser
from lora_sweep.adapters.factors.kinds import Recipe
from lora_sweep.adapters.inject import adapted_names, inject
from lora_sweep.adapters.kind import AdapterKind, Shapes
from lora_sweep.adapters.layer import AdaptedLinear
from lora_sweep.config.data import DataConfig
from lora_sweep.config.run import RunConfig
from lora_sweep.data.corpus import Corpus, LabelledTexts
from lora_sweep.data.headline import check_headline
from lora_sweep.data.subsets import SUBSET_SEED, hold_out_selection
from lora_sweep.data.tokens import TokenisedTexts, tokenise, tokenizer_fingerprint
from lora_sweep.errors import SettingError
from lora_sweep.execution.recipes import recipe_of
from lora_sweep.models.base import (
    bare_encoder,
    base_shape,
    find_base,
    load_encoder,
    load_tokenizer,
)
from lora_sweep.models.classifier import stock_fault
from lora_sweep.store.run_folder import Settings
from lora_sweep.training.attention import RAGGED, register
from lora_sweep.training.dropout import seed_dropout
from lora_sweep.training.encoder import AdaptedEncoder
from lora_sweep.training.pack import PackTexts

log = logging.getLogger(__name__)

BFLOAT16_MULTIPLE = 64
"""Tokens of a batch are a multiple of it: on a CPU, a bfloat16 product of a size that comes for
the first time takes a millisecond longer; on a GPU, products of such sizes are the fastest."""


def base_folder(config: RunConfig) -> Path:
    """Returns the folder of the run's base encoder.

    Raises:
        BaseModelError: it is not to be had.
    """
    return find_base(config.model.name, config.model.path)


def stock_fault_of(settings: Settings) -> str | None:
    """Returns why no classifier of transformers computes what a run does; None where one does.

    Args:
        settings: of the run.

    Raises:
        BaseModelError: its base is not to be had.
    """
    base = find_base(settings["model.name"], settings["model.path"])
    return stock_fault(base, settings["model.pooling"])


def check_fit(config: RunConfig, folder: Path) -> None:
    """Checks the settings that the base's config bounds.

    Raises:
        SettingError: rank.max or data.max_length is too large for the base, model.adapted names
            none of its matrices, or init.values are not one a matrix.
        BaseModelError: the config can't be read, or is of a model that does not train here.
    """
    shape, has_matrices = base_shape(folder), config.adapter_kind().has_matrices
    rank_max, max_length = config.rank.max, config.data.max_length
    if has_matrices and rank_max > shape.d:
        raise SettingError(
            f"rank.max must be at most the base's hidden size {shape.d}, but got {rank_max}"
        )
    if max_length > shape.n_positions:
        raise SettingError(
            f"data.max_length must be at most the base's {shape.n_positions} positions, "
            f"but got {max_length}"
        )
    if has_matrices:
        names = matrix_names(folder, tuple(config.model.adapted))
        if config.init.values is not None:
            _check_values(config, len(names), config.init.values)


def matrix_names(folder: Path, adapted: tuple[str, ...]) -> list[str]:
    """Returns the names of a base's adapted matrices, in module order; see `matrix_shapes`."""
    return list(matrix_shapes(folder, adapted))


@lru_cache(maxsize=8)
def matrix_shapes(folder: Path, adapted: tuple[str, ...]) -> Shapes:
    """Returns name -> (d_out, d_in) of a base's adapted matrices, without its weights.

    Args:
        folder: of the base.
        adapted: ends of their names.

    Raises:
        SettingError: one of them ends no name.
        BaseModelError: the base can't be built.
    """
    try:
        encoder = bare_encoder(folder)
        names = adapted_names(encoder, adapted)
        linear: list[Any] = [encoder.get_submodule(name) for name in names]
        sizes = [(one.out_features, one.in_features) for one in linear]
        return dict(zip(names, sizes, strict=True))
    except ValueError as error:
        shape = base_shape(folder)
        raise SettingError(
            f"{error}: {shape.model_type} wants model.adapted=[{','.join(shape.family.adapted)}]"
        ) from error


def can_pack(config: RunConfig) -> bool:
    """Returns whether runs over the base can train together, without loading it.

    Raises:
        BaseModelError: the base's config can't be read.
    """
    shape = base_shape(base_folder(config))
    drops = config.model.dropout != 0 or config.model.adapter_dropout > 0
    return not drops or shape.family.attention_dropout is not None


def load_corpus(data: DataConfig) -> Corpus:
    """Returns the corpus that a config names, with its selection split, to train on.

    It stays in memory, and is read again once one of its files has been written again.

    Raises:
        CorpusError: it is not to be had, something in it is wrong, or its headline metric is
            undefined.
    """
    return _corpus(data, _written(data))


_Written = tuple[tuple[Path, int, int] | None, ...]


def _written(data: DataConfig) -> _Written:
    """What tells a corpus's files from what they were before: path, time and size of each."""
    return tuple(map(_identity, data.files().values()))


def _identity(path: Path) -> tuple[Path, int, int] | None:
    try:
        stat = path.stat()
    except OSError:  # who reads the file says in its own words what is missing
        return None
    return path.resolve(), stat.st_mtime_ns, stat.st_size


@lru_cache(maxsize=2)
def _corpus(data: DataConfig, written: _Written) -> Corpus:
    share = data.selection_fraction
    return check_headline(hold_out_selection(data.load(), fraction=share, seed=SUBSET_SEED))


def load_texts(config: RunConfig, folder: Path) -> PackTexts:
    """Returns the corpus as tokens of the base's tokeniser."""
    data = config.data
    return _texts(data, _written(data), folder, Path(config.paths.cache))


def load_adapted_encoder(config: RunConfig, folder: Path, device: torch.device) -> AdaptedEncoder:
    """Returns the frozen base with its adapted layers, factorised for rank_max.

    Raises:
        SettingError: no layer has the names asked for, or rank_max is too large for one.
        BaseModelError: the base can't be loaded.
    """
    key = EncoderKey(
        folder=folder,
        pooling=config.model.pooling,
        dropout=config.model.dropout,
        adapter_dropout=config.model.adapter_dropout,
        adapted=tuple(config.model.adapted),
        factors=recipe_of(config),
        adapter=config.adapter_kind(),
        cache_dir=Path(config.paths.cache),
        device=device,
        dtype=torch.bfloat16 if config.precision == "bfloat16" else torch.float32,
        compiled=config.compile,
    )
    return _kept_encoder(key, config.rank.max)


def _check_values(config: RunConfig, n_matrices: int, values: list[float]) -> None:
    if len(values) != n_matrices:
        raise SettingError(
            f"init.values must have one logit for each of the {n_matrices} adapted matrices of "
            f"{config.model.name}, in module order, but got {len(values)}"
        )


@lru_cache(maxsize=2)
def _texts(data: DataConfig, written: _Written, folder: Path, cache_dir: Path) -> PackTexts:
    corpus, tokenizer = _corpus(data, written), load_tokenizer(folder)
    fingerprint = tokenizer_fingerprint(tokenizer)

    def tokens(texts: LabelledTexts) -> TokenisedTexts:
        return tokenise(
            texts,
            tokenizer,
            max_length=data.max_length,
            cache_dir=cache_dir,
            tokenizer_fingerprint=fingerprint,
        )

    return PackTexts(
        train=tokens(corpus.train),
        dev={name: tokens(part) for name, part in corpus.dev.items()},
        headline_parts=corpus.headline_parts,
        selection=None if corpus.selection is None else tokens(corpus.selection),
        metrics=corpus.task.metrics,
        n_labels=corpus.task.n_labels,
        is_regression=corpus.task.is_regression,
        label_names=corpus.task.label_names,
    )


@dataclass(frozen=True)
class EncoderKey:
    """What an encoder is made for, besides the rank; those kept in memory are known by it."""

    folder: Path
    pooling: str
    dropout: float | None
    adapter_dropout: float
    adapted: tuple[str, ...]
    factors: Recipe
    adapter: AdapterKind
    cache_dir: Path
    device: torch.device
    dtype: torch.dtype
    compiled: bool


_ENCODERS: dict[EncoderKey, tuple[int, AdaptedEncoder]] = {}


def _kept_encoder(key: EncoderKey, rank: int) -> AdaptedEncoder:
    """Keeps one encoder a process: factors that nest serve every rank up to theirs."""
    if not _is_kept(key, rank):
        _ENCODERS.clear()  # the old one must be gone while the new one is made
        _ENCODERS[key] = rank, make_encoder(key, rank)
    return _ENCODERS[key][1]


def _is_kept(key: EncoderKey, rank: int) -> bool:
    if key not in _ENCODERS:
        return False
    kept, _ = _ENCODERS[key]
    return kept == rank or (kept > rank and key.factors.nest)


def _adapted_layers(encoder: nn.Module, key: EncoderKey, rank: int) -> dict[str, AdaptedLinear]:
    """The encoder's new layers, by name; it is frozen whether there are any or not."""
    factorise = Factoriser(rank, key.cache_dir, key.factors)
    if not key.adapter.has_matrices:
        encoder.requires_grad_(False)
        return {}
    return inject(
        encoder, lambda linear: key.adapter.layer(linear, factorise), suffixes=key.adapted
    )


def make_encoder(key: EncoderKey, rank: int) -> AdaptedEncoder:
    """Returns the frozen base with its adapted layers, anew.

    Args:
        key: what it is made for.
        rank: at which its matrices are factorised; at least, where factors nest.

    Raises:
        SettingError: no layer has the names asked for, or the rank is too large for one.
        BaseModelError: the base can't be loaded.
    """
    shape = base_shape(key.folder)
    dropout_name = shape.family.attention_dropout
    if dropout_name is None:
        log.info("batches are padded: ragged ones are not known to work for %s", shape.model_type)
    else:
        register()
    attention = None if dropout_name is None else RAGGED
    encoder: Any = load_encoder(
        key.folder, dropout=key.dropout, attention=attention, device=key.device
    )
    try:
        layers = _adapted_layers(encoder, key, rank)
    except ValueError as error:
        raise SettingError(str(error)) from error
    if key.compiled:
        encoder.compile(dynamic=True)  # one graph for all lengths and numbers of runs
    if dropout_name is None:
        for layer in layers.values():
            layer.dropout = key.adapter_dropout  # by torch's generator, as all else is dropped
    of_head = shape.family.dropout_of_head(encoder.config) if key.dropout is None else key.dropout
    return AdaptedEncoder(
        # The frozen weights are cast here, once, so no step casts them again.
        encoder=encoder.to(key.dtype),
        layers=layers,
        d=shape.d,
        n_heads=shape.n_heads,
        pooling=key.pooling,
        head_dropout=of_head,
        dropout=None
        if dropout_name is None
        else seed_dropout(encoder, dropout_name, key.adapter_dropout),
        pad_id=shape.pad_id,
        first_position=shape.family.first_position(shape.pad_id),
        dtype=key.dtype,
        multiple=1 if key.dtype == torch.float32 else BFLOAT16_MULTIPLE,
    )
