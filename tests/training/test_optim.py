import pytest
import torch
from torch import Tensor, nn
from transformers import get_linear_schedule_with_warmup

from lora_sweep.training.optim import BankAdamW, clip_gradients, lr_factor
from lora_sweep.training.parameters import ParameterBank

SHAPES = {"R": (2, 3, 3), "bias": (4,)}
LRS = {"R": [0.1, 0.02, 0.3], "bias": [0.01, 0.5, 0.2]}
DECAY, NORMS = [0.0, 0.01, 0.2], [1.0, 0.5, 100.0]


def _start() -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(0)
    return {
        name: torch.randn(3, *shape, dtype=torch.float64, generator=generator)
        for name, shape in SHAPES.items()
    }


def _in_line(parts: dict[str, Tensor]) -> Tensor:
    """All parts (3, ...) of the runs as rows (3, P)."""
    return torch.cat([parts[name].flatten(1) for name in SHAPES], dim=1)


def _learning_rates(lrs: dict[str, list[float]]) -> Tensor:
    """A learning rate for each run and part -> (3, P)."""
    return _in_line(
        {
            name: torch.tensor(lrs[name], dtype=torch.float64)
            .view(3, *[1] * len(shape))
            .expand(3, *shape)
            for name, shape in SHAPES.items()
        }
    )


def _gradients(n_steps: int) -> list[dict[str, Tensor]]:
    generator = torch.Generator().manual_seed(1)
    return [
        {name: torch.randn(3, *shape, dtype=torch.float64, generator=generator)
         for name, shape in SHAPES.items()}
        for _ in range(n_steps)
    ]  # fmt: skip


def _plain_torch(run: int, gradients: list[dict[str, Tensor]]) -> dict[str, Tensor]:
    """One run alone: torch's AdamW and clipping."""
    parameters = {name: nn.Parameter(bank[run].clone()) for name, bank in _start().items()}
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
    optimiser = BankAdamW(ParameterBank(_start()), torch.tensor(DECAY, dtype=torch.float64))
    for step in gradients:
        gradient = _in_line(step)
        clip_gradients(gradient, torch.tensor(NORMS, dtype=torch.float64))
        optimiser.step(gradient, _learning_rates(LRS))
    for run in range(3):
        for name, expected in _plain_torch(run, gradients).items():
            ours = optimiser.bank.named[name][run].detach()
            torch.testing.assert_close(ours, expected, rtol=0, atol=1e-10)


def test_clipping_returns_norms_and_spares_short_gradients() -> None:
    gradient = torch.tensor([[3.0, 4.0], [0.3, 0.4]])
    norms = clip_gradients(gradient, torch.ones(2))
    assert norms.tolist() == pytest.approx([5.0, 0.5])
    assert gradient.tolist()[1] == pytest.approx([0.3, 0.4])
    assert gradient.norm(dim=1).tolist() == pytest.approx([1.0, 0.5], abs=1e-5)


def test_learning_rate_zero_leaves_a_row() -> None:
    optimiser = BankAdamW(ParameterBank(_start()), torch.full((3,), 0.1, dtype=torch.float64))
    before = optimiser.bank.values.clone()
    rates = _learning_rates({name: [0.0, 0.1, 0.0] for name in SHAPES})
    optimiser.step(torch.ones_like(before), rates)
    changed = (optimiser.bank.values != before).any(dim=1)
    assert changed.tolist() == [False, True, False]


def test_dropped_rows_leave_the_others_as_they_were() -> None:
    optimiser = BankAdamW(ParameterBank(_start()), torch.tensor(DECAY, dtype=torch.float64))
    optimiser.step(_in_line(_gradients(1)[0]), _learning_rates(LRS))
    kept, moment = optimiser.bank.values[[0, 2]], optimiser.first[[0, 2]]
    optimiser.keep(torch.tensor([0, 2]))
    assert torch.equal(optimiser.bank.values, kept)
    assert all(part.is_leaf and len(part) == 2 for part in optimiser.bank.named.values())
    assert torch.equal(optimiser.first, moment)
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
