"""Many tiny runs in one process: a line each with seconds, memory and open files.

Called with the number of runs, then the settings of a run.
"""

import dataclasses
import logging
import sys
import time

import psutil
from hydra import compose, initialize_config_dir

from lora_sweep.config.run import to_run_config
from lora_sweep.config.store import CONF
from lora_sweep.execution.execute import run_cell
from lora_sweep.plugins import register as register_plugins


def main(n_runs: int, settings: list[str]) -> None:
    logging.basicConfig(level=logging.WARNING)
    process = psutil.Process()
    register_plugins()
    with initialize_config_dir(CONF):
        config = to_run_config(compose("config", overrides=settings))
    for seed in range(n_runs):
        started = time.perf_counter()
        run_cell(dataclasses.replace(config, seed=seed))
        seconds = time.perf_counter() - started
        print(seconds, process.memory_info().rss, process.num_fds(), flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
