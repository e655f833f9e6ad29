import pytest
import torch

from lora_sweep.allocation.random_squares import drawn_ranks


def _drawn(n_steps: int, low: int, high: int, seed: int = 0) -> list[int]:
    generator = torch.Generator().manual_seed(seed)
    return drawn_ranks(n_steps, rank_min=low, rank_max=high, generator=generator)


def test_every_rank_of_the_range_is_as_likely() -> None:
    counts = torch.bincount(torch.tensor(_drawn(8000, 3, 6)), minlength=8)
    assert counts[:3].sum() == counts[7:].sum() == 0
    # a count has mean 2,000 and standard deviation 39
    assert all(abs(int(count) - 2000) < 200 for count in counts[3:7])


def test_one_rank_is_drawn_always() -> None:
    assert _drawn(5, 4, 4) == [4] * 5


@pytest.mark.parametrize("n", [1, 7, 50])
def test_shorter_training_draws_the_first_ranks_of_a_longer_one(n: int) -> None:
    assert _drawn(n, 5, 25) == _drawn(100, 5, 25)[:n]
    assert _drawn(100, 5, 25) != _drawn(100, 5, 25, seed=1)
