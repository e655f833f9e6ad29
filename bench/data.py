"""How much of a step is the preparation of its data."""

import statistics

from bench.measure import seconds
from bench.work import Stepper


def data_share(stepper: Stepper, n_steps: int) -> str:
    """Returns the share of a step that its batch takes to prepare, in words."""
    batches = [seconds(stepper.batch) for _ in range(n_steps)]
    steps = [seconds(stepper.step) for _ in range(n_steps)]
    batch, step = statistics.median(batches), statistics.median(steps)
    return (
        f"Data preparation takes {1000 * batch:.2f} ms of a step of {1000 * step:.1f} ms "
        f"({100 * batch / step:.1f} %); on CUDA a thread prepares it while the step before runs."
    )
