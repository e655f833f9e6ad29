"""How fast a GPU trains RoBERTa-large's shape in bfloat16, and where the time goes.

Texts are as long as CoLA's. Random weights do: a step's time does not depend on their values.
"""

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import torch
from peft import LoraConfig, get_peft_model
from torch import Tensor, nn
from torch.profiler import ProfilerActivity, profile
from transformers import AutoModelForSequenceClassification

from bench.gpu.checks import Check
from bench.gpu.work import generated_texts, pack_plan, run_plan
from bench.measure import seconds
from bench.work import Shape, random_config, random_encoder
from lora_sweep.adapters.inject import STUDY_SUFFIXES
from lora_sweep.adapters.layer import LoRAXSLinear
from lora_sweep.training.encoder import AdaptedEncoder
from lora_sweep.training.epoch import EpochProgress
from lora_sweep.training.evaluation import evaluate
from lora_sweep.training.loop import train_step
from lora_sweep.training.pack import Pack, PackTexts

SIZES = (1, 4, 16, 64, 110)
LARGE = Shape(n_layers=24, d=1024, n_heads=16)
STUDY_RUNS, STUDY_EPOCHS = 110, 50
N_STEPS, N_WARM = 8, 3
N_SHOWN = 6


@dataclass(frozen=True)
class Work:
    """What is timed: an encoder's shape, texts, pack sizes, a device."""

    device: torch.device
    shape: Shape
    texts: PackTexts
    sizes: Sequence[int]
    encoder: AdaptedEncoder


def large(device: torch.device) -> Work:
    """Returns RoBERTa-large's shape over as many texts as CoLA has."""
    return work(device, LARGE, SIZES, n_train=8_551, n_dev=1_043)


def work(
    device: torch.device, shape: Shape, sizes: Sequence[int], *, n_train: int, n_dev: int
) -> Work:
    """Returns the work of another shape."""
    encoder = random_encoder("roberta", shape, device=device, dtype=torch.bfloat16)
    return Work(device, shape, generated_texts(n_train, n_dev), sizes, encoder)


def checks(work: Work) -> list[Check]:
    """Returns the checks of speed: a figure for each pack size, then those with bars."""
    step = cache(lambda n_runs: _step_seconds(work, n_runs))
    many = min(64, max(work.sizes))
    rates = [
        Check(f"run-steps per second, K = {k}", "", partial(_rate, work, step, k))
        for k in work.sizes
    ]
    return [
        *rates,
        Check(
            f"share of the products' rate, K = {many}", ">= 0.5", lambda: _share(work, step, many)
        ),
        Check(
            f"times Trainer + PEFT LoRA per run, K = {many}",
            ">= 20",
            lambda: _against_peft(work, step, many),
        ),
        Check(
            f"evaluation's share of an epoch, K = {many}",
            "<= 0.1",
            lambda: _evaluation(work, step, many),
        ),
        Check("the study, hours (projected)", "<= 1", lambda: _study(work, step)),
        Check("idle share of a step, K = 1", "", lambda: _idle(work, 1)),
        Check(f"idle share of a step, K = {many}", "", lambda: _idle(work, many)),
    ]


StepSeconds = Callable[[int], float]


def _pack(work: Work, n_runs: int) -> Pack:
    plans = [run_plan(seed) for seed in range(n_runs)]
    return Pack(work.encoder, work.texts, plans, pack_plan(work.device))


def _stepper(work: Work, pack: Pack) -> Callable[[], None]:
    """One step of the pack's first epoch, batch preparation included, waited for."""
    progress = EpochProgress(pack, 0)
    batches = progress.batches(pack)
    generators = [progress.drops[run] for run in pack.runs]
    pack.encoder.encoder.train()

    def step() -> None:
        train_step(pack, next(batches), 0, generators)

    return step


def _step_seconds(work: Work, n_runs: int) -> float:
    """Seconds of a step, over steps that follow each other as in training."""
    step = _stepper(work, _pack(work, n_runs))
    for _ in range(N_WARM):
        step()
    _wait(work.device)
    started = time.perf_counter()
    for _ in range(N_STEPS):
        step()
    _wait(work.device)
    return (time.perf_counter() - started) / N_STEPS


def _rate(work: Work, step: StepSeconds, n_runs: int) -> tuple[float, str]:
    on_gpu = work.device.type == "cuda"
    if on_gpu:
        torch.cuda.reset_peak_memory_stats()
    taken = step(n_runs)
    peak = torch.cuda.max_memory_allocated() / 1e9 if on_gpu else 0.0
    share = _products_seconds(work, n_runs)[0] / taken
    return n_runs / taken, (
        f"a step takes {1000 * taken:.1f} ms, {share:.2f} of the products' rate, "
        f"peak {peak:.1f} GB"
    )


def _share(work: Work, step: StepSeconds, n_runs: int) -> tuple[float, str]:
    products, flops = _products_seconds(work, n_runs)
    taken = step(n_runs)
    return products / taken, (
        f"{flops / taken / 1e12:.1f} TFLOP/s of the frozen products in a step, "
        f"{flops / products / 1e12:.1f} alone"
    )


def _products_seconds(work: Work, n_runs: int) -> tuple[float, float]:
    """Seconds and arithmetic of the frozen products of a step, forward and backward."""
    pack = _pack(work, n_runs)
    tokens = sum(next(EpochProgress(pack, 0).batches(pack)).n_tokens)
    weights: list[Any] = [
        module.weight
        for name, module in work.encoder.encoder.named_modules()
        if isinstance(module, nn.Linear | LoRAXSLinear) and name.startswith("encoder.")
    ]
    widths = {d for weight in weights for d in weight.shape}
    inputs: dict[int, Tensor] = {
        d: torch.randn(tokens, d, device=work.device).bfloat16() for d in widths
    }

    def products() -> None:
        for weight in weights:
            inputs[weight.shape[1]] @ weight.mT
            inputs[weight.shape[0]] @ weight
        _wait(work.device)

    products()
    flops = sum(4 * tokens * weight.numel() for weight in weights)
    return statistics.median(seconds(products) for _ in range(N_STEPS)), float(flops)


def _against_peft(work: Work, step: StepSeconds, n_runs: int) -> tuple[float, str]:
    peer = _peft_seconds(work)
    own = step(n_runs) / n_runs
    return peer / own, f"{1000 * peer:.1f} ms a step against {1000 * own:.2f} ms a run's step"


def _peft_seconds(work: Work) -> float:
    """Seconds of a step of PEFT LoRA r = 25 in bfloat16, batches of 32 padded to their longest.

    The Trainer's own loop: forward, backward, clipping, AdamW, its collated batches. Its logging
    and its data loader are left out, which only favours it.
    """
    config = random_config("roberta", work.shape)  # of two labels, as all are by default
    model = AutoModelForSequenceClassification.from_config(config)  # type: ignore[no-untyped-call]
    lora = LoraConfig(
        r=25, lora_alpha=16, target_modules=list(STUDY_SUFFIXES), task_type="SEQ_CLS"
    )
    peer: Any = get_peft_model(model, lora).to(work.device).train()
    trained = [part for part in peer.parameters() if part.requires_grad]
    optimiser = torch.optim.AdamW(trained, lr=1e-3)
    train = work.texts.train
    order = torch.randperm(len(train))

    def step(at: int) -> None:
        rows = order[torch.arange(32 * at, 32 * at + 32) % len(order)]
        place = torch.arange(int(train.lengths[rows].max()))
        real = place < train.lengths[rows, None]
        ids = torch.where(real, train.ids[(train.offsets[rows, None] + place) * real].long(), 1)
        inputs = {"input_ids": ids, "attention_mask": real.long(), "labels": train.labels[rows]}
        moved = {name: part.to(work.device) for name, part in inputs.items()}
        with torch.autocast(work.device.type, torch.bfloat16):
            loss = peer(**moved).loss
        loss.backward()
        nn.utils.clip_grad_norm_(trained, 1.0)
        optimiser.step()
        optimiser.zero_grad()

    for at in range(N_WARM):
        step(at)
    _wait(work.device)
    started = time.perf_counter()
    for at in range(N_STEPS):
        step(N_WARM + at)
    _wait(work.device)
    return (time.perf_counter() - started) / N_STEPS


def _evaluation(work: Work, step: StepSeconds, n_runs: int) -> tuple[float, str]:
    pack = _pack(work, n_runs)

    def whole() -> None:
        evaluate(pack, epoch=1, train_losses=[0.0] * n_runs)
        _wait(work.device)

    whole()
    taken = seconds(whole)
    epoch = step(n_runs) * pack.length.steps_per_epoch
    return taken / (taken + epoch), f"{taken:.2f} s of {taken + epoch:.1f} s"


def _study(work: Work, step: StepSeconds) -> tuple[float, str]:
    best = min(work.sizes, key=lambda k: step(k) / k)
    steps = STUDY_RUNS * STUDY_EPOCHS * _pack(work, 1).length.steps_per_epoch
    hours = steps * step(best) / best / 3600
    return hours, f"training of {STUDY_RUNS} runs x {STUDY_EPOCHS} epochs in packs of {best}"


def _idle(work: Work, n_runs: int) -> tuple[float, str]:
    """Share of the time in which the device computes nothing, and what it computes longest."""
    step = _stepper(work, _pack(work, n_runs))
    for _ in range(N_WARM):
        step()
    _wait(work.device)
    on_gpu = work.device.type == "cuda"
    activity = ProfilerActivity.CUDA if on_gpu else ProfilerActivity.CPU
    with profile(activities=[activity]) as profiler:
        started = time.perf_counter()
        for _ in range(3):
            step()
        _wait(work.device)
        taken = time.perf_counter() - started
    key = "self_device_time_total" if on_gpu else "self_cpu_time_total"
    rows = sorted(profiler.key_averages(), key=lambda row: -getattr(row, key))
    busy = sum(getattr(row, key) for row in rows) / 1e6
    shown = [f"{row.key[:60]} {getattr(row, key) / 1e4 / busy:.0f} %" for row in rows[:N_SHOWN]]
    return max(0.0, 1 - busy / taken), "; ".join(shown)


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
