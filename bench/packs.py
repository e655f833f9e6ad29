"""Rows of packs: what a run's step costs among others."""

from typing import Any

from torch.utils._python_dispatch import TorchDispatchMode

from bench.measure import Row, medians, paired
from bench.work import Shape, Stepper, cell, random_encoder
from lora_sweep.training.pack import PackTexts


def launch_bound(texts: PackTexts, n_pairs: int) -> Row:
    """A base whose step is call overhead: 2 layers, hidden 64, batch 4."""
    config = cell("training.batch_size=4")
    encoder = random_encoder("bert", Shape(n_layers=2, d=64, n_heads=2))
    single, many = (Stepper(config, encoder, texts, n) for n in (1, 32))
    pairs = paired(many.step, single.step, n_pairs=n_pairs)
    return Row(
        "pack, launch-bound",
        "cost of a run's step at K = 32 over K = 1; 2 layers, hidden 64, batch 4",
        "<= 0.125",
        [a / 32 / b for a, b in pairs],
        medians(pairs),
    )


def compute_bound(stepper: Stepper, n_pairs: int) -> Row:
    """MiniLM at K = 8."""
    many = Stepper(cell(), stepper.pack.encoder, stepper.pack.texts, 8)

    def singles() -> None:
        for _ in range(8):
            stepper.step()

    pairs = paired(many.step, singles, n_pairs=n_pairs)
    return Row(
        "pack, compute-bound",
        "cost of a run's step at K = 8 over K = 1 on MiniLM",
        "<= 1.0",
        [a / b for a, b in pairs],
        medians(pairs),
    )


class _Counter(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts the operators that a step calls, backward included."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.n_calls = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.n_calls += 1
        return func(*args, **(kwargs or {}))


def operator_calls(texts: PackTexts) -> Row:
    """RoBERTa-large's layers and matrices at a small width: the calls are the same."""
    config = cell()
    encoder = random_encoder("roberta", Shape(n_layers=24, d=32, n_heads=2))
    calls = []
    for n_runs in (1, 32):
        stepper = Stepper(config, encoder, texts, n_runs)
        stepper.step()
        with _Counter() as counter:
            stepper.step()
        calls.append(counter.n_calls)
    return Row(
        "operator calls",
        "calls for a run's step at K = 32 over K = 1; 24 layers and 96 matrices as RoBERTa-large, "
        "counted at hidden 32",
        "<= 0.05",
        [calls[1] / 32 / calls[0]],
        f"{calls[1]} calls for 32 runs against {calls[0]} for one, counted",
    )
