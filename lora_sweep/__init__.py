"""LoRA-XS layers with learnt ranks, trained in sweeps: which split of a rank budget works best?

The names below are the library: the layer for a training loop of one's own. They are imported when
they are first asked for, so that the command line starts without torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lora_sweep.library.adapter import LoRAXSAdapter
    from lora_sweep.library.callback import AllocationCallback
    from lora_sweep.library.exporting import export_peft
    from lora_sweep.library.loading import load_adapter
    from lora_sweep.library.merging import merge
    from lora_sweep.library.model import adapt
    from lora_sweep.library.parts import find_adapter, head_parameters, parameter_groups
    from lora_sweep.library.plan import AdapterPlan
    from lora_sweep.library.saving import save_adapter

__version__ = "0.1.0"
__all__ = [
    "AdapterPlan",
    "AllocationCallback",
    "LoRAXSAdapter",
    "adapt",
    "export_peft",
    "find_adapter",
    "head_parameters",
    "load_adapter",
    "merge",
    "parameter_groups",
    "save_adapter",
]

_HOMES = {
    "AdapterPlan": "plan",
    "AllocationCallback": "callback",
    "LoRAXSAdapter": "adapter",
    "adapt": "model",
    "export_peft": "exporting",
    "find_adapter": "parts",
    "head_parameters": "parts",
    "load_adapter": "loading",
    "merge": "merging",
    "parameter_groups": "parts",
    "save_adapter": "saving",
}


def __getattr__(name: str) -> Any:
    """Returns a public name, imported now.

    Raises:
        AttributeError: there is no such name.
    """
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.library.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
