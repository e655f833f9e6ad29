"""Alpha schedules: step -> alpha, the sharpness of the soft mask.

Every schedule is alpha_min at the first step (step 0), and alpha_max after the last one
(step = n_steps) and beyond.
"""

import math
from collections.abc import Callable

AlphaSchedule = Callable[[float, float, float], float]


def linear(progress: float, alpha_min: float, alpha_max: float) -> float:
    """Returns alpha_min + progress (alpha_max - alpha_min): the same amount added every step."""
    return alpha_min + progress * (alpha_max - alpha_min)


def exponential(progress: float, alpha_min: float, alpha_max: float) -> float:
    """Returns alpha_min (alpha_max / alpha_min)^progress: the same factor every step."""
    return float(alpha_min * (alpha_max / alpha_min) ** progress)


def cosine(progress: float, alpha_min: float, alpha_max: float) -> float:
    """Returns alpha on half a cosine: slow at both ends, fastest in the middle."""
    return alpha_min + (alpha_max - alpha_min) * (1 - math.cos(math.pi * progress)) / 2


ALPHA_SCHEDULES: dict[str, AlphaSchedule] = {
    "linear": linear,
    "exponential": exponential,
    "cosine": cosine,
}


def alpha_at(name: str, step: int, n_steps: int, *, alpha_min: float, alpha_max: float) -> float:
    """Returns alpha after `step` optimiser steps.

    Args:
        name: one of `ALPHA_SCHEDULES`.
        step: steps taken so far, 0 for the first; values beyond `n_steps` hold alpha_max.
        n_steps: steps of the whole training, at least 1.
        alpha_min: alpha at step 0, above 0.
        alpha_max: alpha at step `n_steps`, above 0.

    Raises:
        ValueError: unknown name, alpha not above 0, or a step or count out of range.

    Source: the published study (linear, exponential); cosine is ours.
    """
    if name not in ALPHA_SCHEDULES:
        known = ", ".join(ALPHA_SCHEDULES)
        raise ValueError(f"alpha.schedule must be one of {known}, but got {name!r}")
    if not (alpha_min > 0 and alpha_max > 0):
        raise ValueError(f"alpha must be above 0, but got {alpha_min} and {alpha_max}")
    if n_steps < 1 or step < 0:
        raise ValueError(f"step must be >= 0 and n_steps >= 1, but got {step} and {n_steps}")
    return ALPHA_SCHEDULES[name](min(step / n_steps, 1.0), alpha_min, alpha_max)
