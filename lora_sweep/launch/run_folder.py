"""The name of a run's folder as a value of the config: `${run_folder:}`."""

from omegaconf import DictConfig, OmegaConf

from lora_sweep.config.run import to_run_config
from lora_sweep.config.store import task_config
from lora_sweep.errors import SettingError


def register() -> None:
    """Makes `${run_folder:}` known to configs."""
    OmegaConf.register_resolver("run_folder", _run_folder, replace=True)


def _run_folder(*, _root_: DictConfig) -> str:
    """The folder of the job's first run.

    Hydra asks for it first, so all rules are run here, and a single run's inputs are checked: what
    is refused leaves no folder. A sweep has checked them before it started.
    """
    hydra = _root_.hydra
    is_single = hydra.mode is not None and hydra.mode.name == "RUN"
    for group, what in (("sweep", "a grid of runs"), ("search", "a search")):
        choice = hydra.runtime.choices.get(group)
        if is_single and choice is not None:
            raise SettingError(
                f"{group}={choice} must be run with --multirun (or -m), but got a single run: "
                f"it names {what}"
            )
    run_config = to_run_config(task_config(_root_))
    check_pruner(run_config.pruner.name, hydra)
    run_config.data.check_files()
    from lora_sweep.execution.content import runs_of  # they load torch
    from lora_sweep.execution.execute import check_inputs

    if is_single:
        check_inputs(run_config)
    return next(iter(runs_of(run_config)))


def check_pruner(name: str, hydra: DictConfig) -> None:
    """Checks that somebody asks the pruner, which would be ignored otherwise.

    Args:
        name: of the pruner.
        hydra: Hydra's own node of the config.

    Raises:
        SettingError: there is one, and this is no search.
    """
    is_single = hydra.mode is not None and hydra.mode.name == "RUN"
    sweeper = hydra.runtime.choices.get("hydra/sweeper")
    if name != "none" and (is_single or sweeper != "optuna_resumable"):
        raise SettingError(
            f"pruner={name} must be in a search (--multirun search=rank_range), but got "
            f"{'a single run' if is_single else f'hydra/sweeper={sweeper}'}"
        )
