"""A trained run as stock formats have it: an adapter of PEFT, or merged weights."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from lora_sweep.adapters.factors import cached_factors
from lora_sweep.adapters.peft_files import LowRankUpdate, PeftAdapter, low_rank_update
from lora_sweep.models.base import EMBEDDED
from lora_sweep.models.classifier import load_classifier, set_head, stock_head
from lora_sweep.models.families import StockHead
from lora_sweep.trained.adapter import TrainedAdapter
from lora_sweep.vocabulary import LORA_ALPHA


def stock_classifier(adapter: TrainedAdapter, base: Path) -> tuple[Any, StockHead]:
    """Returns transformers' classifier over the base with the run's head, and its places.

    The adapted matrices are as the base has them.

    Raises:
        BaseModelError: the family's own head can't compute what the run's does.
    """
    about = adapter.about
    place = stock_head(base, about.settings["model.pooling"])
    model = load_classifier(base, about.label_names, place=place)
    set_head(model, place, adapter.head)
    return model, place


@torch.no_grad()
def merged_model(adapter: TrainedAdapter, base: Path, cache_dir: Path) -> Any:
    """Returns a plain transformers model with the updates in its weights.

    Args:
        adapter: of a run.
        base: its base.
        cache_dir: where factors are kept.

    Raises:
        BaseModelError: as in `stock_classifier`.
    """
    model, place = stock_classifier(adapter, base)
    for update in _updates(adapter, model, place, cache_dir):
        weight = model.get_submodule(update.name).weight
        change = update.B.double() @ update.A.double()  # (d_out, d_in)
        weight.copy_((weight.double() + change).float())
    return model


def peft_adapter(adapter: TrainedAdapter, base: Path, cache_dir: Path) -> PeftAdapter:
    """Returns a LoRA adapter for PEFT, with the head as modules that are saved whole.

    Args:
        adapter: of a run.
        base: its base.
        cache_dir: where factors are kept.

    Raises:
        BaseModelError: as in `stock_classifier`.
    """
    model, place = stock_classifier(adapter, base)
    settings = adapter.about.settings
    is_local = settings["model.path"] is not None or settings["model.name"] == EMBEDDED
    return PeftAdapter(
        updates=list(_updates(adapter, model, place, cache_dir)),
        saved={
            name: part
            for name, part in model.state_dict().items()
            if name.rpartition(".")[0] in (place.dense, place.out)
        },
        saved_modules=place.trained,
        base=str(base) if is_local else settings["model.name"],
        task_type="SEQ_CLS",
    )


def _updates(
    adapter: TrainedAdapter, model: Any, place: StockHead, cache_dir: Path
) -> Iterator[LowRankUpdate]:
    """The update of every adapted matrix, in module order."""
    scale = LORA_ALPHA / adapter.rank_max
    for matrix, square in zip(adapter.about.matrices, adapter.squares, strict=True):
        name = f"{place.encoder}.{matrix}"
        weight = model.get_submodule(name).weight.detach()
        factors = cached_factors(weight, adapter.rank_max, cache_dir)
        yield low_rank_update(name, factors, scale * square.double())
