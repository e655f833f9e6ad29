"""Whether the numbers of a GPU are right: against the CPU, other packs, themselves, and memory."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity

from bench.gpu.checks import Check
from bench.gpu.work import (
    Recorder,
    generated_texts,
    pack_plan,
    run_plan,
    small_encoder,
    steps,
)
from lora_sweep.execution.pack_size import bytes_per_run
from lora_sweep.training.epoch import EpochProgress
from lora_sweep.training.loop import step_losses, train_pack, train_step
from lora_sweep.training.pack import Pack
from lora_sweep.training.parameters import LOGITS, Parameters
from lora_sweep.vocabulary import LATENT

CPU = torch.device("cpu")
FLOAT32, BFLOAT16 = torch.float32, torch.bfloat16
N_TEXTS = 32 * 8
LATENT_SIZE = 0.1
"""R is set to this size: at its start of 1e-5 the logits hardly have a gradient."""


def checks(device: torch.device, base: Path, folder: Path) -> list[Check]:
    """Returns the checks of what is right.

    Args:
        device: of the GPU; on a CPU those that need one, or take minutes there, are left out.
        base: a small base's folder, for whole sweeps.
        folder: where these sweeps go.
    """
    own = [
        Check("float32 step against the CPU's", "<= 1e-4", lambda: _against_cpu(device)),
        Check("bfloat16 losses against float32's on the CPU", "<= 0.02", lambda: _rough(device)),
        Check("bfloat16 gradients: cosine", ">= 0.99", lambda: _direction(device)),
        Check("a step in packs of 3 and 8 against alone", "<= 1e-4", lambda: _packs(device)),
        Check("the same pack twice, float32", "<= 0", lambda: _twice(device, FLOAT32)),
        Check("stopped and resumed, float32", "<= 0", lambda: _resumed(device, FLOAT32)),
        Check("dropout drawn on the device", ">= 1", lambda: _generators(device)),
    ]
    if device.type != "cuda":
        return own
    return [
        *own,
        Check("the same pack twice, bfloat16", "<= 0", lambda: _twice(device, BFLOAT16)),
        Check("stopped and resumed, bfloat16", "<= 0", lambda: _resumed(device, BFLOAT16)),
        Check("waits within a step", "<= 0", lambda: _waits(device)),
        Check("predicted over measured memory, off by", "<= 0.2", lambda: _memory(device)),
        Check("runs done after memory ran out", ">= 16", lambda: _out_of_memory(base, folder)),
    ]


def _gradients(
    device: torch.device, dtype: torch.dtype, *, n_runs: int = 3, dropout: float = 0.0
) -> tuple[Tensor, Parameters]:
    """Losses (K,) and gradients (K, ...) of the runs' first step, on the CPU.

    Every kind of device draws dropout of its own, so without it devices can be compared.
    """
    encoder = small_encoder(device, dtype, dropout=dropout)
    plans = [run_plan(seed) for seed in range(n_runs)]
    pack = Pack(encoder, generated_texts(N_TEXTS, 64), plans, pack_plan(device))
    bank = pack.optimiser.bank
    start = bank.values.clone()
    latent = bank.split(start)[LATENT]  # (K, N, r, r), the same for all runs
    own = torch.randn(latent.shape[1:], generator=torch.Generator().manual_seed(0))
    latent.copy_(LATENT_SIZE * own.expand_as(latent))
    bank.load(start)
    encoder.encoder.train()
    progress = EpochProgress(pack, 0)
    generators = [progress.drops[run] for run in pack.runs]
    losses = step_losses(pack, next(progress.batches(pack)), 0, generators)
    gradient = bank.split(bank.gradient(losses.sum()))
    return losses.detach().cpu(), {name: gradient[name].cpu() for name in (LATENT, LOGITS)}


def _off(own: Tensor, right: Tensor) -> float:
    """Largest difference over the largest value."""
    return float((own - right).abs().max() / right.abs().max())


def _against_cpu(device: torch.device) -> tuple[float, str]:
    (losses, own), (right_losses, right) = (_gradients(d, FLOAT32) for d in (device, CPU))
    off = {"losses": _off(losses, right_losses)}
    off |= {f"gradient of {name}": _off(own[name], right[name]) for name in right}
    return max(off.values()), ", ".join(f"{name} {value:.1e}" for name, value in off.items())


def _rough(device: torch.device) -> tuple[float, str]:
    losses, right = _gradients(device, BFLOAT16)[0], _gradients(CPU, FLOAT32)[0]
    return _off(losses, right), f"{losses.tolist()} against {right.tolist()}"


def _direction(device: torch.device) -> tuple[float, str]:
    own, right = _gradients(device, BFLOAT16)[1], _gradients(CPU, FLOAT32)[1]
    cosines = {
        name: float(cosine_similarity(own[name].flatten(1), right[name].flatten(1)).min())
        for name in right
    }
    return min(cosines.values()), ", ".join(f"{name} {one:.4f}" for name, one in cosines.items())


def _packs(device: torch.device) -> tuple[float, str]:
    """Loss and gradient of the first run's step, dropout included, with other runs beside it."""

    def first_run(n_runs: int) -> Parameters:
        losses, gradient = _gradients(device, FLOAT32, n_runs=n_runs, dropout=0.1)
        return {"loss": losses[:1]} | {name: part[:1] for name, part in gradient.items()}

    alone = first_run(1)
    off = {
        f"{name}, K = {n_runs}": _off(part, alone[name])
        for n_runs in (3, 8)
        for name, part in first_run(n_runs).items()
    }
    return max(off.values()), ", ".join(f"{name} {value:.1e}" for name, value in off.items())


def _trained(device: torch.device, dtype: torch.dtype, stop_after: int | None) -> Recorder:
    """Trains four runs for two epochs; after a stop they go on from what was kept."""
    encoder, texts = small_encoder(device, dtype), generated_texts(N_TEXTS, 64)
    plans, shared = [run_plan(seed) for seed in range(4)], pack_plan(device, n_epochs=2)
    recorder = Recorder(stop_after)
    if train_pack(encoder, texts, plans, shared, recorder):
        return recorder
    start = [recorder.snapshots[run] for run in range(len(plans))]
    again = Recorder()
    train_pack(encoder, texts, plans, shared, again, start=start)
    return again


def _apart(own: Recorder, other: Recorder) -> float:
    """Largest difference of any trained value."""
    return max(
        float((part - other.states[run][name]).abs().max())
        for run, state in own.states.items()
        for name, part in state.items()
    )


@contextmanager
def _deterministic() -> Iterator[None]:
    torch.use_deterministic_algorithms(True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(False)


def _twice(device: torch.device, dtype: torch.dtype) -> tuple[float, str]:
    as_it_runs = _apart(_trained(device, dtype, None), _trained(device, dtype, None))
    with _deterministic():
        asked = _apart(_trained(device, dtype, None), _trained(device, dtype, None))
    return as_it_runs, f"largest difference; with torch's deterministic kernels {asked:.3g}"


def _resumed(device: torch.device, dtype: torch.dtype) -> tuple[float, str]:
    within, between = N_TEXTS // 32 // 2, N_TEXTS // 32
    whole = _trained(device, dtype, None)
    off = [_apart(_trained(device, dtype, step), whole) for step in (within, between)]
    return max(off), f"stopped after step {within}: {off[0]:.3g}, after {between}: {off[1]:.3g}"


def _generators(device: torch.device) -> tuple[float, str]:
    plans = [run_plan(seed) for seed in range(2)]
    pack = Pack(small_encoder(device), generated_texts(64, 64), plans, pack_plan(device))
    types = {one.device.type for one in EpochProgress(pack, 0).drops.values()}
    return float(types == {device.type}), f"on {', '.join(sorted(types))}"


def _waits(device: torch.device) -> tuple[float, str]:
    """A step under CUDA's own watch; the first one may table what the pack needs."""
    plans = [run_plan(seed) for seed in range(4)]
    pack = Pack(small_encoder(device), generated_texts(N_TEXTS, 64), plans, pack_plan(device))
    progress = EpochProgress(pack, 0)
    batches = [batch for batch, _ in zip(progress.batches(pack), range(4), strict=False)]
    generators = [progress.drops[run] for run in pack.runs]
    pack.encoder.encoder.train()
    train_step(pack, batches[0], 0, generators)
    torch.cuda.set_sync_debug_mode("error")
    try:
        for batch in batches[1:]:
            train_step(pack, batch, 0, generators)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    return 0.0, "three steps under set_sync_debug_mode('error')"


def _memory(device: torch.device) -> tuple[float, str]:
    """What pack_size=auto reckons a run takes, against what packs of 8 and 16 really took."""
    texts, shared = generated_texts(N_TEXTS, 64), pack_plan(device)

    def peak(n_runs: int) -> int:
        torch.cuda.empty_cache()
        encoder = small_encoder(device)
        pack = Pack(encoder, texts, [run_plan(seed) for seed in range(n_runs)], shared)
        taken = steps(pack)
        next(taken)
        torch.cuda.reset_peak_memory_stats(device)
        next(taken)
        return torch.cuda.max_memory_allocated(device)

    measured = (peak(16) - peak(8)) / 8
    predicted = bytes_per_run(small_encoder(device), texts, [run_plan(0)], shared)
    return abs(predicted / measured - 1), f"{predicted / 1e6:.1f} MB a run, {measured / 1e6:.1f}"


_LIMITED = """
import sys, torch
torch.cuda.set_per_process_memory_fraction(float(sys.argv.pop(1)))
from lora_sweep.cli import main
sys.exit(main())
"""


def _out_of_memory(base: Path, folder: Path) -> tuple[float, str]:
    """A sweep of 16 runs in one pack, in memory that holds but a few of them."""
    total = torch.cuda.get_device_properties(0).total_memory
    command = [
        "run", "--multirun", f"model.path={base}", "data=minimal_pairs", "data.n_train=512",
        "training=short", "training.epochs=1", "training.epochs_discrete=0",
        "training.batch_size=128", "seed=range(16)", "hydra.launcher.pack_size=16",
        "device=cuda", "hydra.callbacks.report.figures=false", "hydra.callbacks.report.page=false",
    ]  # fmt: skip
    for megabytes in (400, 200, 100):
        sweep = folder / f"within_{megabytes}_mb"  # runs that are finished would not train again
        limit = [sys.executable, "-c", _LIMITED, str(megabytes * 2**20 / total)]
        done = subprocess.run(
            [*limit, *command, f"paths.sweep={sweep}"], capture_output=True, text=True, check=False
        )
        output = done.stdout + done.stderr
        if "its halves are tried" in output or done.returncode:
            break
    if "its halves are tried" not in output:
        return 0.0, f"memory never ran out; exit code {done.returncode}: {output[-500:]}"
    n_done = len(list(sweep.glob("*/result.json")))
    return float(n_done), f"within {megabytes} MB, exit code {done.returncode}"
