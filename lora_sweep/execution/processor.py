"""Which precision a processor is made for.

Some multiply bfloat16 several times as fast as float32 (AMX, AVX512-BF16), others have no
instructions for it and take dozens of times as long. Neither shows before a training is over.
"""

import functools
import logging
import time

import torch

log = logging.getLogger(__name__)

_ROWS, _D_IN, _D_OUT = 256, 384, 1536  # a batch's tokens, and a layer of a small base
_WORTH_IT = 1.3
_PRECISIONS = (torch.float32, torch.bfloat16)


@functools.cache
def say_which_precision_is_faster(precision: str) -> None:
    """Says, once per process, that the other precision's products are at least 1.3 times as fast.

    In float32 nothing is measured, unless the processor may have instructions for it.

    Args:
        precision: of the run, `float32` or `bfloat16`; it trains on the processor.
    """
    if precision == "float32" and not _may_have_bfloat16():
        return
    rates = {str(kind).removeprefix("torch."): product_rate(kind) for kind in _PRECISIONS}
    other = next(name for name in rates if name != precision)
    if rates[other] >= _WORTH_IT * rates[precision]:
        log.warning(
            "precision=%s would be faster on this processor: products run at %.0f GFLOP/s in it, "
            "and at %.0f in %s",
            *(other, rates[other], rates[precision], precision),
        )


def product_rate(dtype: torch.dtype) -> float:
    """Returns how fast this process multiplies matrices as a small base's layers do, in GFLOP/s.

    Args:
        dtype: of the matrices, (256, 384) and (384, 1536).
    """
    a, b = torch.ones(_ROWS, _D_IN, dtype=dtype), torch.ones(_D_IN, _D_OUT, dtype=dtype)
    a @ b
    seconds = []
    for _ in range(5):
        started = time.perf_counter()
        a @ b
        seconds.append(time.perf_counter() - started)
    return 2 * _ROWS * _D_IN * _D_OUT / min(seconds) / 1e9


def _may_have_bfloat16() -> bool:
    """Whether it is of the processors among which those with AMX or AVX512-BF16 are."""
    return torch.backends.cpu.get_cpu_capability().startswith("AVX512")
