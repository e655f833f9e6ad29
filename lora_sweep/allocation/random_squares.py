"""Ranks that are drawn: one for all matrices at every step, so that one training serves all ranks.

At step t a run trains the leading square of size k_t of every R,

    k_t ~ uniform over rank_min ... rank_max        M_i[a, b] = 1 if max(a, b) < k_t else 0

so what stands outermost is trained least often, and every leading square is of use by itself. Such
a run can be evaluated, and used, at any rank of its range.

Source: DyLoRA (arXiv 2210.07558), Algorithm 1, which draws the rank of LoRA's pairs like this; the
square of LoRA-XS's R in their place is ours.
"""

import torch


def drawn_ranks(
    n_steps: int, *, rank_min: int, rank_max: int, generator: torch.Generator
) -> list[int]:
    """Returns the rank of every step (n_steps,), independent and uniform over the range.

    Args:
        n_steps: of the training, at least 1.
        rank_min: least rank.
        rank_max: largest rank.
        generator: of the run, on the CPU; it is moved on.

    Source: DyLoRA (arXiv 2210.07558), Algorithm 1.
    """
    drawn = torch.randint(rank_min, rank_max + 1, (n_steps,), generator=generator)
    return [int(rank) for rank in drawn.tolist()]
