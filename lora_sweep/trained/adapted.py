"""A trained adapter in its base: the outputs are those of the run's own evaluation."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lora_sweep.data.tokens import TokenisedTexts
from lora_sweep.errors import BaseModelError, RecordError
from lora_sweep.execution.inputs import EncoderKey, make_encoder
from lora_sweep.models.base import base_fingerprint, find_base, load_tokenizer
from lora_sweep.trained.about import About
from lora_sweep.trained.adapter import TrainedAdapter
from lora_sweep.training.encoder import AdaptedEncoder
from lora_sweep.training.outputs import text_outputs
from lora_sweep.training.parameters import Parameters


@dataclass(frozen=True)
class AdaptedClassifier:
    """A base with what a run trained, and its head.

    Attributes:
        about: its origin and use.
        tokenizer: of the base.
        encoder: the base with its adapted layers.
        updates: of the layers (N), for one run.
        head: of the run, with a leading run axis of one.
        device: where it computes.
    """

    about: About
    tokenizer: Any
    encoder: AdaptedEncoder
    updates: tuple[Any, ...]
    head: Parameters
    device: torch.device

    def outputs(self, texts: TokenisedTexts) -> Tensor:
        """Returns the outputs (n, n_labels), float32, on the CPU."""
        self.encoder.evaluation_mode()
        size = int(self.about.settings["training.evaluation_batch_size"])
        outputs = text_outputs(self.encoder, texts, self.updates, self.head, batch_size=size)
        return outputs[0].cpu()


def base_of(about: About, path: Path | None) -> Path:
    """Returns the folder of the base that a run was trained over.

    Args:
        about: of the run.
        path: where the base lies now; None for where the run found it.

    Raises:
        BaseModelError: it is not to be had, or is another one.
    """
    settings = about.settings
    own = settings["model.path"] if path is None else str(path)
    try:
        folder = find_base(settings["model.name"], own)
    except BaseModelError as error:
        if path is not None:
            raise
        raise BaseModelError(
            f"the base of {about.run} is not there ({error}); give its folder with --base DIR"
        ) from error
    found = base_fingerprint(folder)
    if found != about.model_fingerprint:
        raise BaseModelError(
            f"{folder} must be the base that {about.run} was trained over (fingerprint "
            f"{about.model_fingerprint[:8]}), but got {found[:8]}: give the right one with "
            "--base DIR"
        )
    return folder


def load_adapted(
    adapter: TrainedAdapter, base: Path, *, cache_dir: Path, device: torch.device
) -> AdaptedClassifier:
    """Returns a trained adapter in its base.

    Args:
        adapter: of a run or an export.
        base: as `base_of` gives it.
        cache_dir: where factors are kept.
        device: where it computes.

    Raises:
        LoraSweepError: the base can't be loaded, or has other matrices.
    """
    about = adapter.about
    encoder = make_encoder(_key(about, base, cache_dir, device), adapter.rank_max)
    if list(encoder.layers) != about.matrices:
        raise RecordError(f"{about.run} must adapt the matrices of its base, but got others")
    parts = {name: part.to(device) for name, part in adapter.parts.items()}
    updates = about.adapter.trained_updates(
        parts, encoder.layers, rank=adapter.rank_max, scale=adapter.lora_scale
    )
    return AdaptedClassifier(
        about=about,
        tokenizer=load_tokenizer(base),
        encoder=encoder,
        updates=updates,
        head={name: part[None].to(device) for name, part in adapter.head.items()},
        device=device,
    )


def _key(about: About, base: Path, cache_dir: Path, device: torch.device) -> EncoderKey:
    settings = about.settings
    return EncoderKey(
        folder=base,
        pooling=settings["model.pooling"],
        dropout=settings["model.dropout"],
        adapter_dropout=0.0,  # it predicts only
        adapted=tuple(settings.get("model.adapted", ())),
        factors=about.factors,
        adapter=about.adapter,
        cache_dir=cache_dir,
        device=device,
        dtype=torch.bfloat16 if settings["precision"] == "bfloat16" else torch.float32,
        compiled=False,
    )
