import math

import pytest
import torch
from torch import Tensor

from lora_sweep.allocation.masks import discrete_masks, gumbel_noise, soft_masks


def _slow_mask(rank: Tensor, alpha: float, rank_min: int, rank_max: int, r: int) -> Tensor:
    """The definition of one matrix's mask, entry by entry."""
    weights = [torch.exp(-alpha * torch.log(1 + (rank - k) ** 2)) for k in _k(rank_min, rank_max)]
    total = torch.stack(weights).sum()
    rows = []
    for a in range(r):
        row = []
        for b in range(r):
            pairs = zip(_k(rank_min, rank_max), weights, strict=True)
            above = [weight for k, weight in pairs if k > max(a, b)]
            row.append(torch.stack(above).sum() / total if above else torch.zeros_like(total))
        rows.append(torch.stack(row))
    return torch.stack(rows)


def _k(rank_min: int, rank_max: int) -> range:
    return range(rank_min, rank_max + 1)


def _soft(ranks: Tensor, alphas: list[float], lows: list[int], highs: list[int]) -> Tensor:
    return soft_masks(
        ranks,
        torch.tensor(alphas, dtype=ranks.dtype),
        rank_min=torch.tensor(lows, dtype=torch.float64),
        rank_max=torch.tensor(highs, dtype=torch.float64),
        r=max(highs),
    )


def test_soft_masks_match_the_double_loop() -> None:
    ranks = torch.tensor([[2.3, 4.0, 1.2], [3.7, 2.5, 6.4]], dtype=torch.float64)
    alphas, lows, highs = [0.7, 2.0], [1, 2], [5, 7]
    masks = _soft(ranks, alphas, lows, highs)
    for run in range(2):
        for i in range(3):
            slow = _slow_mask(ranks[run, i], alphas[run], lows[run], highs[run], 7)
            torch.testing.assert_close(masks[run, i], slow, rtol=0, atol=1e-12)


def test_soft_mask_gradients_match_the_double_loop() -> None:
    generator = torch.Generator().manual_seed(3)
    weights = torch.randn(5, 5, dtype=torch.float64, generator=generator)
    fast = torch.tensor([[2.6]], dtype=torch.float64, requires_grad=True)
    slow = torch.tensor(2.6, dtype=torch.float64, requires_grad=True)
    (_soft(fast, [1.5], [1], [5])[0, 0] * weights).sum().backward()
    (_slow_mask(slow, 1.5, 1, 5, 5) * weights).sum().backward()
    assert fast.grad is not None and slow.grad is not None
    assert fast.grad.item() == pytest.approx(slow.grad.item(), rel=1e-10)


def test_large_alpha_gives_the_discrete_mask() -> None:
    integer = torch.tensor([[2, 5, 3]])
    soft = _soft(integer.double(), [200.0], [1], [5])
    torch.testing.assert_close(soft, discrete_masks(integer, 5).double(), rtol=0, atol=1e-9)


def test_discrete_mask_is_the_leading_square() -> None:
    expected = [[1, 1, 0], [1, 1, 0], [0, 0, 0]]
    assert discrete_masks(torch.tensor([[2]]), 3)[0, 0].tolist() == expected


def test_smaller_run_is_zero_outside_its_block() -> None:
    masks = _soft(torch.tensor([[2.0], [4.0]]), [1.0, 1.0], [1, 1], [3, 6])
    assert masks[0, 0, 3:].abs().max() == 0 and masks[0, 0, :, 3:].abs().max() == 0
    assert masks[1, 0, 5, 5] > 0


def test_ranks_below_the_least_are_always_kept() -> None:
    masks = _soft(torch.tensor([[4.0]], dtype=torch.float64), [0.5], [3], [6])
    torch.testing.assert_close(
        masks[0, 0, :3, :3], torch.ones(3, 3, dtype=torch.float64), rtol=0, atol=1e-12
    )


def test_gumbel_noise_has_its_mean_and_seed() -> None:
    draws = [gumbel_noise(200, 50, tau=2.0, generator=_generator(seed)) for seed in (0, 0, 1)]
    assert torch.equal(draws[0], draws[1]) and not torch.equal(draws[0], draws[2])
    assert draws[0].mean().item() == pytest.approx(2 * 0.5772, abs=0.08)
    assert draws[0].std().item() == pytest.approx(2 * math.pi / math.sqrt(6), abs=0.1)


def _generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)
