"""How many runs train at once: what fits into memory, and what a short timing shows to pay off."""

import logging
import statistics
import time
from collections.abc import Sequence

import psutil
import torch
from torch import Tensor

from lora_sweep.training.encoder import AdaptedEncoder
from lora_sweep.training.loop import train_step
from lora_sweep.training.pack import Pack, PackTexts
from lora_sweep.training.plan import PackPlan, RunPlan
from lora_sweep.training.seeds import stream_generator
from lora_sweep.words import counted

log = logging.getLogger(__name__)

SMALLEST, LARGEST = 4, 64
"""Four runs share each call and take little more memory than one: so many train unasked."""
LARGEST_UNTIMED = 16
"""Where nothing is known of memory; what does not fit is halved."""
N_TIMED = 3
WORTH_IT = 0.9
"""A larger pack must bring the cost of a run's step below this share of the smaller one's."""
TIMING_SHARE = 0.05
"""The timing of two sizes may take this share of the sweep's steps."""


def best_pack_size(
    encoder: AdaptedEncoder,
    texts: PackTexts,
    plans: Sequence[RunPlan],
    shared: PackPlan,
    *,
    together: int = 1,
) -> int:
    """Returns how many of the runs to train at once, and logs why.

    From 4 on, or from `together` where that is more, the size is doubled as long as twice the
    runs fit into half of the free memory and make a run's step cheaper by 10 % at least. Work too
    short for a timing is trained in packs of the first size.

    Args:
        encoder: the frozen base.
        texts: the corpus.
        plans: one a run.
        shared: what the runs share.
        together: neighbouring runs that stay in one pack where they fit into memory.
    """
    if len(plans) == 1:
        return 1
    per_run = bytes_per_run(encoder, texts, plans, shared)
    fits = max(1, _free_bytes(shared.device) // 2 // per_run)
    least, most = max(SMALLEST, together), min(LARGEST, len(plans), fits)
    size = min(least, len(plans), fits)
    n_run_steps = len(plans) * shared.length(len(texts.train)).n_steps
    costs: dict[int, float] = {}
    if 2 * size <= most and (N_TIMED + 1) * 3 * size <= TIMING_SHARE * n_run_steps:
        costs[size] = _cost(encoder, texts, plans[:size], shared)
        while 2 * size <= most:
            costs[2 * size] = _cost(encoder, texts, plans[: 2 * size], shared)
            if costs[2 * size] > WORTH_IT * costs[size]:
                break
            size *= 2
    timed = ", ".join(f"{1000 * cost:.1f} ms in packs of {n}" for n, cost in costs.items())
    log.info(
        "pack_size=auto: %d (a run's step: %s; %s of %.0f MB %s into memory)",
        size,
        timed or "not timed",
        counted(fits, "run"),
        per_run / 1e6,
        "fits" if fits == 1 else "fit",
    )
    return size


def size_for_workers(n_runs: int, n_workers: int, together: int = 1) -> int:
    """Returns how many runs train at once where others do, and logs why.

    Every worker gets a pack before one gets two; untimed, a pack has 16 runs at most, or those
    that stay together.

    Args:
        n_runs: to be trained, at least 1.
        n_workers: that take a pack each, at least 1.
        together: neighbouring runs that stay in one pack.
    """
    share = -(-n_runs // n_workers)
    size = max(min(LARGEST_UNTIMED, share), min(together, n_runs))
    n = counted(n_runs, "run"), counted(n_workers, "worker")
    log.info("pack_size=auto: %d (%s, %s; not timed)", size, *n)
    return size


def _cost(
    encoder: AdaptedEncoder, texts: PackTexts, plans: Sequence[RunPlan], shared: PackPlan
) -> float:
    """Seconds of a step for each run of a pack; the first step warms up."""
    pack = Pack(encoder, texts, plans, shared)
    seconds = []
    for step in range(N_TIMED + 1):
        started = time.perf_counter()
        _step(pack, step)
        if shared.device.type == "cuda":
            torch.cuda.synchronize(shared.device)
        seconds.append(time.perf_counter() - started)
    return statistics.median(seconds[1:]) / len(plans)


def bytes_per_run(
    encoder: AdaptedEncoder, texts: PackTexts, plans: Sequence[RunPlan], shared: PackPlan
) -> int:
    """Memory that one more run takes: what a backward pass keeps, and the optimiser's state."""
    frozen = {part.untyped_storage().data_ptr() for part in encoder.encoder.state_dict().values()}
    frozen |= {
        part.untyped_storage().data_ptr()
        for layer in encoder.layers.values()
        for part in layer.buffers()
    }
    kept: dict[int, int] = {}

    def note(part: Tensor) -> Tensor:
        storage = part.untyped_storage()
        if storage.data_ptr() not in frozen:
            kept[storage.data_ptr()] = storage.nbytes()
        return part

    largest = max(plans, key=lambda plan: plan.rank_max)
    pack = Pack(encoder, texts, [largest], shared)
    with torch.autograd.graph.saved_tensors_hooks(note, lambda part: part):
        _step(pack, 0)
    # values, gradient, two moments, and two temporaries of the optimiser
    return sum(kept.values()) + 6 * pack.optimiser.bank.values.nbytes


def _step(pack: Pack, step: int) -> None:
    size, n_texts = pack.shared.batch_size, len(pack.texts.train)
    index = (torch.arange(size) * max(1, n_texts // size) + step) % n_texts
    batch = pack.encoder.batch(pack.texts.train, index.expand(len(pack.runs), -1))
    generators = [stream_generator(0, "timing", pack.shared.device) for _ in pack.runs]
    pack.encoder.encoder.train()
    pack.step = min(step, pack.length.n_steps - 1)
    train_step(pack, batch, 0, generators)


def _free_bytes(device: torch.device) -> int:
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    return int(psutil.virtual_memory().available)
