import pytest
import torch
from torch import Tensor, nn
from transformers import get_linear_schedule_with_warmup

from lora_sweep.training.optim import BankAdamW, clip_gradients, lr_factor

SHAPES = {"R": (2, 3, 3), "bias": (4,)}
LRS = {"R": [0.1, 0.02, 0.3], "bias": [0.01, 0.5, 0.2]}
DECAY, NORMS = [0.0, 0.01, 0.2], [1.0, 0.5, 100.0]


def _banks() -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(0)
    return {
        name: torch.randn(3, *shape, dtype=torch.float64, generator=generator).requires_grad_()
        for name, shape in SHAPES.items()
    }


def _gradients(n_steps: int) -> list[dict[str, Tensor]]:
    generator = torch.Generator().manual_seed(1)
    return [
        {name: torch.randn(3, *shape, dtype=torch.float64, generator=generator)
         for name, shape in SHAPES.items()}
        for _ in range(n_steps)
    ]  # fmt: skip


def _plain_torch(run: int, gradients: list[dict[str, Tensor]]) -> dict[str, Tensor]:
    """One run alone: torch's AdamW and clipping."""
    parameters = {
        name: nn.Parameter(bank.detach()[run].clone()) for name, bank in _banks().items()
    }
    groups = [
        {"params": [parameter], "lr": LRS[name][run]} for name, parameter in parameters.items()
    ]
    optimiser = torch.optim.AdamW(groups, weight_decay=DECAY[run], eps=1e-8)
    for step in gradients:
        for name, parameter in parameters.items():
            parameter.grad = step[name][run].clone()
        nn.utils.clip_grad_norm_(parameters.values(), NORMS[run])
        optimiser.step()
    return {name: parameter.detach() for name, parameter in parameters.items()}


def test_pack_steps_as_plain_torch_does_run_by_run() -> None:
    gradients = _gradients(20)
    optimiser = BankAdamW(_banks(), torch.tensor(DECAY, dtype=torch.float64))
    lr = {name: torch.tensor(values, dtype=torch.float64) for name, values in LRS.items()}
    for step in gradients:
        for name, bank in optimiser.parameters.items():
            bank.grad = step[name].clone()
        clip_gradients(optimiser.parameters, torch.tensor(NORMS, dtype=torch.float64))
        optimiser.step(lr)
    for run in range(3):
        for name, expected in _plain_torch(run, gradients).items():
            ours = optimiser.parameters[name][run]
            torch.testing.assert_close(ours, expected, rtol=0, atol=1e-10)


def test_clipping_returns_norms_and_spares_short_gradients() -> None:
    bank = torch.zeros(2, 2, requires_grad=True)
    bank.grad = torch.tensor([[3.0, 4.0], [0.3, 0.4]])
    norms = clip_gradients({"R": bank}, torch.ones(2))
    assert norms.tolist() == pytest.approx([5.0, 0.5])
    assert bank.grad.tolist()[1] == pytest.approx([0.3, 0.4])
    assert bank.grad.norm(dim=1).tolist() == pytest.approx([1.0, 0.5], abs=1e-5)


def test_learning_rate_zero_leaves_a_row() -> None:
    optimiser = BankAdamW(_banks(), torch.full((3,), 0.1, dtype=torch.float64))
    before = optimiser.parameters["R"].detach().clone()
    optimiser.parameters["R"].grad = torch.ones_like(before)
    optimiser.step({"R": torch.tensor([0.0, 0.1, 0.0], dtype=torch.float64)})
    changed = (optimiser.parameters["R"] != before).flatten(1).any(dim=1)
    assert changed.tolist() == [False, True, False]


def test_dropped_rows_leave_the_others_as_they_were() -> None:
    optimiser = BankAdamW(_banks(), torch.tensor(DECAY, dtype=torch.float64))
    optimiser.parameters["R"].grad = _gradients(1)[0]["R"]
    optimiser.step({"R": torch.tensor([0.1, 0.1, 0.1], dtype=torch.float64)})
    kept, moment = optimiser.parameters["R"].detach()[[0, 2]], optimiser.first["R"][[0, 2]]
    optimiser.keep(torch.tensor([0, 2]))
    assert torch.equal(optimiser.parameters["R"], kept) and optimiser.parameters["R"].is_leaf
    assert torch.equal(optimiser.first["R"], moment)
    assert optimiser.weight_decay.tolist() == [0.0, 0.2]


def test_linear_schedule_matches_transformers() -> None:
    optimiser = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    scheduler = get_linear_schedule_with_warmup(optimiser, int(0.06 * 50), 50)
    for step in range(50):
        expected = scheduler.get_last_lr()[0]
        assert lr_factor("linear", step, 50, warmup_fraction=0.06) == pytest.approx(expected)
        optimiser.step()
        scheduler.step()


@pytest.mark.parametrize(
    ("step", "factor"), [(0, 0.0), (5, 0.5), (10, 1.0), (55, 0.5), (100, 0.0)]
)
def test_linear_schedule_by_hand(step: int, factor: float) -> None:
    assert lr_factor("linear", step, 100, warmup_fraction=0.1) == pytest.approx(factor)


def test_constant_schedule_is_one_from_the_start() -> None:
    assert [lr_factor("constant", step, 9, warmup_fraction=0.5) for step in (0, 9)] == [1, 1]


def test_unknown_schedule_is_refused() -> None:
    with pytest.raises(ValueError, match="must be linear or constant, but got 'cubic'"):
        lr_factor("cubic", 0, 9, warmup_fraction=0.1)
