"""A trained run as stock formats have it: an adapter of PEFT, or merged weights."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch

from lora_sweep.adapters.factors.factoriser import Factoriser
from lora_sweep.adapters.peft_files import LowRankUpdate, PeftAdapter
from lora_sweep.models.classifier import load_classifier, set_head, stock_head
from lora_sweep.models.families import StockHead
from lora_sweep.models.hub_names import HubModel
from lora_sweep.trained.adapter import TrainedAdapter

CLASSIFIER = "classifier"
"""Folder of an export for PEFT with the config of the base's classifier."""


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
        change = update.scale * (update.B.double() @ update.A.double())  # (d_out, d_in)
        weight.copy_((weight.double() + change).float())
    return model


@dataclass(frozen=True)
class PeftExport:
    """An adapter for PEFT, and what its own config has no place for.

    Attributes:
        adapter: with the head as modules that are saved whole.
        config: of the base's classifier: the labels, and all else that it must be told.
    """

    adapter: PeftAdapter
    config: Any

    def write(self, folder: Path) -> None:
        """Writes both. Beside the adapter, transformers would take the config for a model's."""
        self.adapter.write(folder)
        self.config.save_pretrained(folder / CLASSIFIER)


def peft_export(
    adapter: TrainedAdapter,
    base: Path,
    cache_dir: Path,
    *,
    hub: HubModel | None,
    uniform_rank: bool,
) -> PeftExport:
    """Returns a run's adapter as PEFT loads it.

    PEFT's own config has no place for labels: the config in the folder `classifier` has them, with
    all that the base's classifier must be told. Beside the adapter, transformers would take it for
    that of a whole model.

    Args:
        adapter: of a run.
        base: its base.
        cache_dir: where factors are kept.
        hub: what the base is called on the hub; None for a folder that is of no hub model.
        uniform_rank: whether all matrices get the largest one's rank, by zeros.

    Raises:
        BaseModelError: as in `stock_classifier`.
    """
    model, place = stock_classifier(adapter, base)
    pairs = PeftAdapter(
        updates=list(_updates(adapter, model, place, cache_dir)),
        saved={
            name: part
            for name, part in model.state_dict().items()
            if name.rpartition(".")[0] in (place.dense, place.out)
        },
        saved_modules=place.trained,
        base=str(base) if hub is None else hub.name,
        revision=None if hub is None else hub.revision,
        task_type="SEQ_CLS",
        dropout=adapter.adapter_dropout,
        rslora=getattr(adapter.about.adapter, "rslora", False),
    )
    return PeftExport(pairs.with_one_rank() if uniform_rank else pairs, model.config)


def _updates(
    adapter: TrainedAdapter, model: Any, place: StockHead, cache_dir: Path
) -> Iterator[LowRankUpdate]:
    """The update of every adapted matrix, in module order."""
    about = adapter.about
    factorise = Factoriser(adapter.rank_max, cache_dir, about.factors)
    for matrix in about.matrices:
        name = f"{place.encoder}.{matrix}"
        factors = partial(factorise, model.get_submodule(name).weight.detach())
        update = about.adapter.low_rank(adapter.parts, matrix, adapter.lora_scale, factors)
        yield replace(update, name=name)
