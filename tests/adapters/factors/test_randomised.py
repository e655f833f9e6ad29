import numpy as np
import torch
from torch import Tensor

from lora_sweep.adapters.factors.exact import svd_factors
from lora_sweep.adapters.factors.randomised import randomised_factors


def _weight(d_out: int, d_in: int, seed: int = 0) -> Tensor:
    return torch.randn(d_out, d_in, generator=torch.Generator().manual_seed(seed))


def test_directions_are_orthonormal_and_a_is_their_image() -> None:
    weight = _weight(50, 40)
    A, B = randomised_factors(weight, 6, seed=42)
    assert A.shape == (6, 40) and B.shape == (50, 6)
    torch.testing.assert_close(B.mT @ B, torch.eye(6), rtol=0, atol=1e-5)
    torch.testing.assert_close(A, B.mT @ weight, rtol=0, atol=1e-5)


def test_a_gap_in_the_spectrum_gives_the_best_approximation() -> None:
    # Power iterations leave (1 / 100)^21 of what lies behind the gap.
    left, _ = np.linalg.qr(_weight(30, 30).double().numpy())
    right, _ = np.linalg.qr(_weight(20, 20, seed=1).double().numpy())
    values = np.array([5.0, 4.0, 3.0] + [0.03] * 17)
    weight = torch.from_numpy(left[:, :20] * values @ right.T).float()
    A, B = randomised_factors(weight, 3, seed=0)
    best = (left[:, :3] * values[:3]) @ right[:, :3].T
    np.testing.assert_allclose((B @ A).numpy(), best, atol=1e-5)


def test_a_flat_spectrum_is_approximated_worse_than_the_exact_one() -> None:
    weight = _weight(200, 150)
    errors = [
        torch.linalg.matrix_norm(weight - B @ A)
        for A, B in (svd_factors(weight, 20), randomised_factors(weight, 20, seed=42))
    ]
    assert errors[0] < errors[1] < 1.01 * errors[0]


def test_the_seed_changes_factors_that_the_same_seed_repeats() -> None:
    weight = _weight(200, 150)
    first, again, other = (randomised_factors(weight, 20, seed=seed) for seed in (1, 1, 2))
    assert torch.equal(first[0], again[0]) and torch.equal(first[1], again[1])
    assert not torch.equal(first[0], other[0])


def test_factors_of_smaller_rank_are_others() -> None:
    weight = _weight(200, 150)
    (A20, _), (A10, _) = (randomised_factors(weight, rank, seed=42) for rank in (20, 10))
    assert (A20[:10] - A10).abs().max() > 1e-3


def test_sixteen_bit_weights_give_float32() -> None:
    A, B = randomised_factors(_weight(9, 7).bfloat16(), 2, seed=0)
    assert A.dtype == B.dtype == torch.float32
