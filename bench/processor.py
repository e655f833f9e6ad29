"""Which processor it is, and how fast it multiplies matrices."""

import platform
import re
from pathlib import Path

import torch

from lora_sweep.execution.processor import product_rate


def processor() -> str:
    """Returns the processor's name."""
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def instructions() -> str:
    """Returns the widest vector instructions that torch uses, such as `AVX2`."""
    return torch.backends.cpu.get_cpu_capability()


def products() -> str:
    """Returns the rates of products in both precisions, in words."""
    float32, bfloat16 = (product_rate(kind) for kind in (torch.float32, torch.bfloat16))
    return (
        f"products (256, 384) x (384, 1536) at {float32:.0f} GFLOP/s in float32 and "
        f"{bfloat16:.0f} in bfloat16"
    )


def file_name(processor: str, instructions: str) -> str:
    """Returns the name of a processor's file of results."""
    words = re.findall(r"[a-z0-9]+", f"{processor} {instructions}".lower())
    return f"{'_'.join(words)}.json"
