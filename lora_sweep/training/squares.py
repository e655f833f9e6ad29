"""A pack's runs that train random squares of R: the rank of every step, drawn beforehand."""

from collections.abc import Sequence

import torch
from torch import Tensor

from lora_sweep.allocation.masks import discrete_masks
from lora_sweep.allocation.random_squares import drawn_ranks
from lora_sweep.training.plan import RunPlan
from lora_sweep.training.seeds import stream_generator


class PackSquares:
    """Ranks of every step, tabled on the device so that a step waits for nothing.

    Attributes:
        flags: which of the pack's runs train random squares (K).
        ranks: rank of every step (n_steps, K), int64; 0 for the other runs. (0, K) where no run
            trains random squares.
    """

    def __init__(self, plans: Sequence[RunPlan], n_steps: int, *, device: torch.device) -> None:
        """Draws the ranks of every run from its own seed.

        Args:
            plans: of all runs of the pack.
            n_steps: of the training.
            device: where the masks are.
        """
        self.flags = [plan.allocation.has_random_squares for plan in plans]
        columns = [_ranks(plan, n_steps if any(self.flags) else 0) for plan in plans]
        self.ranks = torch.tensor(columns, dtype=torch.long).T.contiguous().to(device)

    def __bool__(self) -> bool:
        """Whether any run trains random squares."""
        return any(self.flags)

    def keep(self, rows: Sequence[int]) -> None:
        """Drops all runs but those rows of the pack."""
        self.flags = [self.flags[row] for row in rows]
        self.ranks = self.ranks[:, rows]

    def masks(self, step: int, r: int) -> Tensor:
        """Returns the masks of a step, the same for all matrices (K, 1, r, r), float32."""
        return discrete_masks(self.ranks[step, :, None], r)


def _ranks(plan: RunPlan, n_steps: int) -> list[int]:
    """The rank of every step, from the run's seed alone."""
    own = plan.allocation
    if not own.has_random_squares:
        return [0] * n_steps
    generator = stream_generator(plan.seed, "rank")
    return drawn_ranks(n_steps, rank_min=own.rank_min, rank_max=own.rank_max, generator=generator)
