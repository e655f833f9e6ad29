"""The executor `local`: this process if there is one device, else one worker process a device."""

import os
from collections.abc import Sequence

from lora_sweep.launch.executors.pools import PoolExecutor


def on_devices(devices: str | Sequence[int | str], packs_per_device: int) -> PoolExecutor | None:
    """Returns workers for all devices; None where this process is worker enough.

    Args:
        devices: numbers of CUDA devices, or `cpu`; `auto` for all CUDA devices that torch sees.
        packs_per_device: workers that share one.
    """
    if isinstance(devices, str):
        found = _visible_devices()
        if len(found) * packs_per_device <= 1:
            return None
        devices = found
    shown = ["" if one == "cpu" else str(one) for one in devices]
    return PoolExecutor([{"CUDA_VISIBLE_DEVICES": one} for one in shown] * packs_per_device)


def _visible_devices() -> list[int | str]:
    """Names of the devices as CUDA_VISIBLE_DEVICES takes them; the CPU where there are none."""
    import torch

    n_devices = torch.cuda.device_count()
    named = [name for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if name]
    return list(named[:n_devices] or range(n_devices)) or ["cpu"]
