"""The Hydra callback that ends every sweep with its report."""

import logging
from pathlib import Path
from typing import Any

from hydra.experimental.callback import Callback
from omegaconf import DictConfig

log = logging.getLogger(__name__)


class WriteReport(Callback):
    """Writes and prints the sweep's tables when a multirun ends, also when runs failed."""

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:
        """Called by Hydra after the last job, whatever became of it."""
        from lora_sweep.runs.store import SWEEP_FILE

        sweep_dir = Path(str(config.hydra.sweep.dir))
        if not (sweep_dir / SWEEP_FILE).exists():
            return  # ended before a run was listed: there is nothing to report
        from lora_sweep.report.__main__ import main

        main([str(sweep_dir)])
