"""The executor `joblib`: so many worker processes on this machine, none bound to a device."""

from typing import Any

from lora_sweep.launch.executors.pools import PoolExecutor
from lora_sweep.rules import require


def on_processes(n_jobs: Any = -1) -> PoolExecutor:
    """Returns the workers.

    Args:
        n_jobs: their number, at least 1; -1 for one a core, as in joblib.

    Raises:
        SettingError: it is something else.
    """
    is_number = isinstance(n_jobs, int) and (n_jobs >= 1 or n_jobs == -1)
    require(is_number, "hydra.launcher.joblib.n_jobs", "-1, or an integer of at least 1", n_jobs)
    from joblib import cpu_count

    return PoolExecutor([{}] * (cpu_count() if n_jobs == -1 else n_jobs))
