"""Settings of the allocation by importance."""

from typing import Any

BY_IMPORTANCE: dict[str, Any] = {
    "allocation.mode": "importance",
    "allocation.warmup_fraction": 0.1,
    "allocation.final_fraction": 0.4,
    "allocation.every": 10,
    "allocation.beta1": 0.85,
    "allocation.beta2": 0.85,
}
