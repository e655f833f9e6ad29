"""An adapter as PEFT's LoRA: a pair of factors for each matrix, in PEFT's two files.

LoRA-XS's discrete mask keeps the leading square R_k (k, k) of R, so the update of a matrix is

    s B (M o R) A = (s B_k R_k) A_k        B_k (d_out, k), A_k (k, d_in): leading columns and rows

which is LoRA's B' A' of rank k, with B' = s B_k R_k and A' = A_k. LoRA multiplies it by
alpha / rank, so alpha is the rank. With s in B', no reader can take another scale for it. Of LoRA
itself A and B are written as they are, and alpha says their scale.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor
from torch.nn.functional import pad

from lora_sweep.files import write_text

PEFT_WEIGHTS = "adapter_model.safetensors"
PEFT_CONFIG = "adapter_config.json"
_PREFIX = "base_model.model."


@dataclass(frozen=True)
class LowRankUpdate:
    """The update s B A of one matrix.

    Attributes:
        name: of the matrix in the model.
        A, B: (k, d_in) and (d_out, k), float32, with k the matrix's rank.
        scale: s.
    """

    name: str
    A: Tensor
    B: Tensor
    scale: float = 1.0

    @property
    def rank(self) -> int:
        """The matrix's rank k."""
        return len(self.A)

    def padded(self, rank: int) -> "LowRankUpdate":
        """Returns the same update with zeros up to a rank of at least k."""
        more = rank - self.rank
        A, B = pad(self.A, (0, 0, 0, more)), pad(self.B, (0, more))
        return replace(self, A=A, B=B)


@torch.no_grad()
def low_rank_update(name: str, factors: tuple[Tensor, Tensor], core: Tensor) -> LowRankUpdate:
    """Returns the update of one matrix.

    Args:
        name: of the matrix in the model.
        factors: A (r, d_in) and B (d_out, r), r >= k.
        core: s R_k (k, k), on the factors' device.
    """
    A, B = factors
    k = len(core)
    product = B[:, :k].double() @ core.double()  # (d_out, k)
    return LowRankUpdate(name, A[:k].float().contiguous(), product.float())


@dataclass(frozen=True)
class PeftAdapter:
    """What PEFT's files hold.

    Attributes:
        updates: of the adapted matrices (N), in module order.
        saved: name -> values of the modules that are saved whole, by their names in the model.
        saved_modules: names of these modules.
        base: what `from_pretrained` finds the base by; None where nobody knows.
        revision: of the base on the hub; None where there is none, or nobody knows.
        task_type: PEFT's word for the kind of model; None for any.
        dropout: of the adapters' inputs, if they are trained on.
        rslora: whether PEFT's scale is to be alpha / sqrt(rank) instead of alpha / rank.
    """

    updates: Sequence[LowRankUpdate]
    saved: Mapping[str, Tensor]
    saved_modules: Sequence[str]
    base: str | None
    revision: str | None = None
    task_type: str | None = None
    dropout: float = 0.0
    rslora: bool = False

    def with_one_rank(self) -> "PeftAdapter":
        """Returns the same with all updates at the largest one's rank, by zeros.

        Readers that know no `rank_pattern` need it so.
        """
        largest = max(update.rank for update in self.updates)
        return replace(self, updates=[update.padded(largest) for update in self.updates])

    def write(self, folder: Path) -> None:
        """Writes `adapter_model.safetensors` and `adapter_config.json`.

        Args:
            folder: that exists.
        """
        own = {f"{update.name}.lora_A.weight": update.A for update in self.updates}
        own |= {f"{update.name}.lora_B.weight": update.B for update in self.updates}
        tensors = {_PREFIX + name: _alone(one) for name, one in (own | {**self.saved}).items()}
        save_file(tensors, folder / PEFT_WEIGHTS, metadata={"format": "pt"})
        write_text(folder / PEFT_CONFIG, json.dumps(self._config(), indent=1))

    def _config(self) -> dict[str, Any]:
        ranks = {update.name: update.rank for update in self.updates}
        largest = max(ranks.values())
        smaller = {name: rank for name, rank in ranks.items() if rank != largest}
        alphas = {update.name: self._alpha(update) for update in self.updates}
        alpha = next(alphas[name] for name, rank in ranks.items() if rank == largest)
        return {
            "peft_type": "LORA",
            "task_type": self.task_type,
            "base_model_name_or_path": self.base,
            "revision": self.revision,
            "inference_mode": True,
            "r": largest,
            "lora_alpha": alpha,
            "lora_dropout": self.dropout,
            "bias": "none",
            "fan_in_fan_out": False,
            "use_rslora": self.rslora,
            "init_lora_weights": True,
            "target_modules": list(ranks),
            "rank_pattern": smaller,
            "alpha_pattern": {name: one for name, one in alphas.items() if one != alpha},
            "modules_to_save": list(self.saved_modules),
        }

    def _alpha(self, update: LowRankUpdate) -> float:
        """PEFT's alpha that gives an update its scale; whole ones are integers, as PEFT's."""
        alpha = update.scale * (math.sqrt(update.rank) if self.rslora else update.rank)
        return round(alpha) if math.isclose(alpha, round(alpha)) else alpha


def _alone(values: Tensor) -> Tensor:
    """A copy on the CPU that shares its memory with no other: safetensors writes no other."""
    return values.detach().cpu().contiguous().clone()
