import numpy as np
import pytest
import torch
from torch import Tensor

from lora_sweep.adapters.factors.exact import svd_factors


def _weight(d_out: int = 5, d_in: int = 3, seed: int = 0) -> Tensor:
    return torch.randn(d_out, d_in, generator=torch.Generator().manual_seed(seed))


def test_factors_are_the_best_approximation() -> None:
    weight = _weight()
    A, B = svd_factors(weight, 2)
    u, s, vt = np.linalg.svd(weight.double().numpy())
    best = (u[:, :2] * s[:2]) @ vt[:2]
    np.testing.assert_allclose((B @ A).numpy(), best, atol=1e-6)


def test_singular_values_sit_in_a() -> None:
    weight = _weight(4, 6)
    A, B = svd_factors(weight, 3)
    values = torch.linalg.svdvals(weight.double())[:3].float()
    torch.testing.assert_close(A.norm(dim=1), values, rtol=1e-5, atol=0)
    torch.testing.assert_close(B.mT @ B, torch.eye(3), rtol=0, atol=1e-6)


def test_factors_nest() -> None:
    (A4, B4), (A2, B2) = (svd_factors(_weight(7, 4), rank) for rank in (4, 2))
    assert torch.equal(A4[:2], A2) and torch.equal(B4[:, :2], B2)


def test_sign_makes_the_largest_entry_positive() -> None:
    A, _ = svd_factors(-_weight(), 3)
    assert (A.gather(1, A.abs().argmax(dim=1, keepdim=True)) > 0).all()


@pytest.mark.parametrize("rank", [0, 4])
def test_rank_out_of_range_is_refused(rank: int) -> None:
    with pytest.raises(ValueError, match=rf"within 1 ... 3 for a matrix \(5, 3\), but got {rank}"):
        svd_factors(_weight(), rank)


def test_weight_with_nan_is_refused() -> None:
    with pytest.raises(ValueError, match="weight must be finite"):
        svd_factors(torch.full((2, 2), torch.nan), 1)
