"""Readers of PEFT's two files that are not PEFT."""

import json
from pathlib import Path
from typing import Any

from safetensors.torch import load_file


def add_without_patterns(model: Any, folder: Path) -> Any:
    """Adds W + alpha/r B A and the modules that are saved whole, as a server that knows no
    patterns does: one alpha and one rank for all; returns the model.
    """
    config = json.loads((folder / "adapter_config.json").read_text())
    scale = config["lora_alpha"] / config["r"]
    parts = {
        name.removeprefix("base_model.model."): part
        for name, part in load_file(folder / "adapter_model.safetensors").items()
    }
    state = model.state_dict()
    for name, part in parts.items():
        if name.endswith(".lora_A.weight"):
            matrix = name.removesuffix(".lora_A.weight")
            state[f"{matrix}.weight"] += scale * (parts[f"{matrix}.lora_B.weight"] @ part)
        elif not name.endswith(".lora_B.weight"):
            state[name].copy_(part)
    model.load_state_dict(state)
    return model
