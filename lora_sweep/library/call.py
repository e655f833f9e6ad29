"""What an adapted layer may not be called within."""

import torch

from lora_sweep.adapters.layer import LoRAXSLinear


def check_call(layer: LoRAXSLinear) -> None:
    """Refuses a call that would compute something else in silence.

    Raises:
        RuntimeError: the layer is a replica of `nn.DataParallel`, or autocast is on.
    """
    if getattr(layer, "_is_replica", False):
        raise RuntimeError(
            "an adapted model must run on one device a process, but got nn.DataParallel: "
            "use DistributedDataParallel, or make one device visible"
        )
    if torch.is_autocast_enabled(layer.weight.device.type):
        raise RuntimeError(
            "an adapted model must run without autocast, but got it: load the base with "
            "dtype=torch.bfloat16 instead (R stays float32)"
        )
