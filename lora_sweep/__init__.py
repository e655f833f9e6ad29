"""LoRA-XS layers with learnt ranks, trained in sweeps: which split of a rank budget works best?

The names below are the library: the layer for a training loop of one's own, and a sweep's results
as a table. They are imported when they are first asked for, so that the command line starts
without torch.
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
    from lora_sweep.report.results import results

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
    "results",
    "save_adapter",
]

_HOMES = {
    "AdapterPlan": "library.plan",
    "AllocationCallback": "library.callback",
    "LoRAXSAdapter": "library.adapter",
    "adapt": "library.model",
    "export_peft": "library.exporting",
    "find_adapter": "library.parts",
    "head_parameters": "library.parts",
    "load_adapter": "library.loading",
    "merge": "library.merging",
    "parameter_groups": "library.parts",
    "results": "report.results",
    "save_adapter": "library.saving",
}


def __getattr__(name: str) -> Any:
    """Returns a public name, imported now.

    Raises:
        AttributeError: there is no such name.
    """
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
