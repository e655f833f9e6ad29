"""Weight -> factors of a recipe, from the disk where they are known.

Where a kind's factors nest, one factorisation serves every run and rank range. It is kept under
the weight's own content, so it outlives sweeps and serves every base with the same matrix.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from lora_sweep.adapters.factors.kinds import EXACT_RECIPE, Factors, Recipe
from lora_sweep.tensor_files import kept_tensors

FORMAT_VERSION = 2
STORED_RANK = 128
"""Ranks that a cached factorisation of a nesting kind holds at least, as far as there are any."""


@dataclass(frozen=True)
class Factoriser:
    """Weight -> factors; unlike a function of one's own it can be pickled.

    Attributes:
        rank: that is wanted; at least so much where factors nest.
        cache_dir: folder that keeps factors, made if it is not there; None for none.
        recipe: which factors.
    """

    rank: int
    cache_dir: Path | None
    recipe: Recipe = EXACT_RECIPE

    def __call__(self, weight: Tensor) -> Factors:
        """Returns A (r, d_in) and B (d_out, r), float32, on the weight's device.

        r is `rank`, or more where factors nest. In the cache a file is named after the weight's
        content, the recipe and r. Processes that want it at once wait for the first one; the file
        appears whole or not at all.

        Args:
            weight: W (d_out, d_in).

        Raises:
            ValueError: the rank is out of range, or the weight is not finite.
            StorageError: they are not in the cache, and can't be written.
        """
        r = self._kept_rank(weight)
        if self.cache_dir is None or self.rank > r:
            return self.recipe.make(weight, self.rank)  # with the matrix's own limit
        name = f"{_content_key(weight)}-{self.recipe.label}-{r}.safetensors"

        def make() -> dict[str, Tensor]:
            a, b = self.recipe.make(weight, r)
            return {"A": a, "B": b}

        path = self.cache_dir / "factors" / name
        factors = kept_tensors(path, make, consequence="the factors are made anew")
        return factors["A"].to(weight.device), factors["B"].to(weight.device)

    def _kept_rank(self, weight: Tensor) -> int:
        wanted = max(self.rank, STORED_RANK) if self.recipe.nest else self.rank
        kept: int = min(wanted, *weight.shape)
        return kept


def _content_key(weight: Tensor) -> str:
    """SHA-256 of the file's format, and of a matrix's shape, type and bytes."""
    content = weight.detach().cpu().contiguous()
    digest = hashlib.sha256(f"{FORMAT_VERSION} {tuple(content.shape)} {content.dtype}".encode())
    digest.update(content.view(torch.uint8).numpy().data)
    return digest.hexdigest()
