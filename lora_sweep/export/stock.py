"""A trained adapter as stock formats have it: low-rank pairs, PEFT's files, merged weights.

A discrete mask keeps the leading square R_k (k, k) of R, so the update of a matrix is

    s B (M o R) A = (s B_k R_k) A_k        B_k (d_out, k), A_k (k, d_in): leading columns and rows

which is LoRA's B' A' of rank k, with B' = s B_k R_k and A' = A_k. LoRA multiplies it by
alpha / rank, so alpha is the rank. With s in B', no reader can take another scale for it.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor
from torch.nn.functional import pad

from lora_sweep.adapters.factors import cached_factors
from lora_sweep.files import write_text
from lora_sweep.models.classifier import load_classifier, set_head, stock_head
from lora_sweep.models.families import StockHead
from lora_sweep.models.hub_names import HubModel
from lora_sweep.trained.adapter import TrainedAdapter
from lora_sweep.trained.stock import PEFT_WEIGHTS
from lora_sweep.vocabulary import LORA_ALPHA

PEFT_CONFIG = "adapter_config.json"
CLASSIFIER = "classifier"
RANK_PATTERN_FILE = "rank_pattern.json"
_PEFT_PREFIX = "base_model.model."


@dataclass(frozen=True)
class LowRankUpdate:
    """The update B A of one matrix.

    Attributes:
        name: of the matrix in the stock classifier.
        A, B: (k, d_in) and (d_out, k), float32, with k the matrix's rank.
    """

    name: str
    A: Tensor
    B: Tensor

    def padded(self, rank: int) -> "LowRankUpdate":
        """Returns the same update with zeros up to a rank of at least k."""
        more = rank - len(self.A)
        A, B = pad(self.A, (0, 0, 0, more)), pad(self.B, (0, more))
        return LowRankUpdate(self.name, A, B)


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
def low_rank_updates(
    adapter: TrainedAdapter, model: Any, place: StockHead, cache_dir: Path
) -> Iterator[LowRankUpdate]:
    """Yields the update of every adapted matrix, in module order.

    Args:
        adapter: of a run.
        model: as `stock_classifier` gives it.
        place: likewise.
        cache_dir: where factors are kept.
    """
    scale = LORA_ALPHA / adapter.rank_max
    for matrix, square in zip(adapter.about.matrices, adapter.squares, strict=True):
        name, k = f"{place.encoder}.{matrix}", len(square)
        weight = model.get_submodule(name).weight.detach()
        A, B = cached_factors(weight, adapter.rank_max, cache_dir)
        product = scale * (B[:, :k].double() @ square.double())  # (d_out, k)
        yield LowRankUpdate(name, A[:k].contiguous(), product.float())


@torch.no_grad()
def write_merged(folder: Path, adapter: TrainedAdapter, base: Path, cache_dir: Path) -> None:
    """Writes a plain transformers model with the updates in its weights.

    Args:
        folder: where to.
        adapter: of a run.
        base: its base.
        cache_dir: where factors are kept.
    """
    model, place = stock_classifier(adapter, base)
    for update in low_rank_updates(adapter, model, place, cache_dir):
        weight = model.get_submodule(update.name).weight
        change = update.B.double() @ update.A.double()  # (d_out, d_in)
        weight.copy_((weight.double() + change).float())
    model.save_pretrained(folder)


def write_peft(
    folder: Path,
    adapter: TrainedAdapter,
    base: Path,
    cache_dir: Path,
    *,
    hub: HubModel | None,
    uniform_rank: bool,
) -> None:
    """Writes a LoRA adapter that PEFT loads, with the head as modules that are saved whole.

    PEFT's own config has no place for labels: the config in the folder `classifier` has them, with
    all that the base's classifier must be told. Beside the adapter, transformers would take it for
    that of a whole model.

    Args:
        folder: where to.
        adapter: of a run.
        base: its base.
        cache_dir: where factors are kept.
        hub: what the base is called on the hub; None for a folder that is of no hub model.
        uniform_rank: whether all matrices get the largest one's rank, by zeros.
    """
    model, place = stock_classifier(adapter, base)
    updates = list(low_rank_updates(adapter, model, place, cache_dir))
    if uniform_rank:
        largest = max(adapter.about.integer_ranks)
        updates = [update.padded(largest) for update in updates]
    tensors = {}
    for update in updates:
        tensors[f"{_PEFT_PREFIX}{update.name}.lora_A.weight"] = update.A
        tensors[f"{_PEFT_PREFIX}{update.name}.lora_B.weight"] = update.B
    for name, part in model.state_dict().items():
        if name.rpartition(".")[0] in (place.dense, place.out):
            tensors[f"{_PEFT_PREFIX}{name}"] = part.contiguous()
    save_file(tensors, folder / PEFT_WEIGHTS, metadata={"format": "pt"})
    config = _peft_config(updates, place, hub or HubModel(str(base), None))
    write_text(folder / PEFT_CONFIG, json.dumps(config, indent=1))
    model.config.save_pretrained(folder / CLASSIFIER)


def write_rank_pattern(folder: Path, adapter: TrainedAdapter) -> None:
    """Writes the learnt ranks as PEFT's `LoraConfig(rank_pattern=...)` takes them.

    PEFT compares the ends of module names, so the names within the encoder fit every model that
    holds it.

    Args:
        folder: where to.
        adapter: of a run.
    """
    about = adapter.about
    ranks = dict(zip(about.matrices, about.integer_ranks, strict=True))
    write_text(folder / RANK_PATTERN_FILE, json.dumps(ranks, indent=1))


def _peft_config(updates: list[LowRankUpdate], place: StockHead, base: HubModel) -> dict[str, Any]:
    ranks = {update.name: len(update.A) for update in updates}
    largest = max(ranks.values())
    smaller = {name: rank for name, rank in ranks.items() if rank != largest}
    return {
        "peft_type": "LORA",
        "task_type": "SEQ_CLS",
        "base_model_name_or_path": base.name,
        "revision": base.revision,
        "inference_mode": True,
        "r": largest,
        "lora_alpha": largest,
        "lora_dropout": 0.0,
        "bias": "none",
        "fan_in_fan_out": False,
        "use_rslora": False,
        "init_lora_weights": True,
        "target_modules": list(ranks),
        "rank_pattern": smaller,
        "alpha_pattern": smaller,
        "modules_to_save": list(place.trained),
    }
