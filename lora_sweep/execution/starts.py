"""What a run takes from another one: its adapter to start from, its logits, or its ranks.

model.adapter=RUN                     R and head, or R alone, start as RUN trained them
init=from_run init.run=RUN            the logits start as RUN trained them
init=from_run ... init.freeze=true    the integer ranks are RUN's, and stay so
"""

from pathlib import Path

from lora_sweep.config.run import RunConfig
from lora_sweep.errors import RecordError, SettingError
from lora_sweep.execution.inputs import load_corpus, matrix_names
from lora_sweep.execution.plans import Sources
from lora_sweep.execution.recipes import recipe_of, recorded_kind, recorded_recipe
from lora_sweep.models.base import base_fingerprint
from lora_sweep.rules import expand_home
from lora_sweep.store.finished import FinishedRun, read_source
from lora_sweep.training.parameters import LOGITS, adapter_part, head_part
from lora_sweep.training.plan import Start
from lora_sweep.vocabulary import HEAD_OUT, LORA_ALPHA


def read_sources(config: RunConfig) -> Sources:
    """Returns the numbers that a cell's runs take from other runs.

    Raises:
        LoraSweepError: a run is not finished, damaged, or has no logits.
    """
    return Sources(
        logits=_logits(config),
        ranks=_ranks(config),
        start=None if config.model.adapter is None else _start(config, config.model.adapter),
    )


def source_identities(config: RunConfig) -> dict[str, str]:
    """Returns the settings that name runs to start from -> identity of what those trained.

    Raises:
        RecordError: one is not finished, or damaged.
    """
    named = {"model.adapter": config.model.adapter, "init.run": _init_run(config)}
    return {
        setting: _source(setting, path).identity
        for setting, path in named.items()
        if path is not None
    }


def check_sources(config: RunConfig, base: Path) -> None:
    """Checks that what is taken from other runs fits.

    Args:
        config: of the cell.
        base: folder of its base.

    Raises:
        LoraSweepError: a run is not finished or damaged, or its matrices, ranks or labels don't
            fit; the message names setting, rule and value.
    """
    if (path := _init_run(config)) is not None:
        run = _source("init.run", path)
        _check_matrices("init.run", run, config, base)
        _check_init(run, config)
    if config.model.adapter is not None:
        run = _source("model.adapter", config.model.adapter)
        _check_matrices("model.adapter", run, config, base)
        _check_adapter(run, config, base)


def _init_run(config: RunConfig) -> str | None:
    """The run whose allocation is taken, if it has an effect."""
    has_effect = config.init.freeze or config.has_logits
    return config.init.run if has_effect else None


def _logits(config: RunConfig) -> tuple[float, ...] | None:
    path = _init_run(config)
    if path is None or config.init.freeze:
        return None
    run = _source("init.run", path)
    if LOGITS not in run.state:
        raise SettingError(
            f"init.run must be a run with logits, but got {path} with init="
            f"{run.record.settings['init']}: init.freeze=true takes its ranks"
        )
    return tuple(run.state[LOGITS].tolist())


def _ranks(config: RunConfig) -> tuple[int, ...] | None:
    if not config.init.freeze:
        return None
    if config.init.run is None:
        return () if config.calibrates else None  # the data gives them later
    return tuple(_source("init.run", config.init.run).integer_ranks)


def _start(config: RunConfig, path: str) -> Start:
    run = _source("model.adapter", path)
    head = head_part(run.state) if _takes_head(run, config) else None
    return Start(adapter_part(run.state), head)


def _takes_head(run: FinishedRun, config: RunConfig) -> bool:
    """As asked for; else where both runs have the same labels."""
    if config.model.adapter_head is not None:
        return config.model.adapter_head
    return run.record.label_names == list(load_corpus(config.data).task.label_names)


def _source(setting: str, path: str) -> FinishedRun:
    try:
        return read_source(expand_home(setting, path))
    except RecordError as error:
        raise RecordError(f"{setting}={path}: {error}") from error


def _check_matrices(setting: str, run: FinishedRun, config: RunConfig, base: Path) -> None:
    own = matrix_names(base, tuple(config.model.adapted))
    theirs = run.record.matrices
    if theirs != own:
        different = sorted(set(theirs) ^ set(own))
        raise SettingError(
            f"{setting} must be a run over the same {len(own)} matrices, but got one over "
            f"{len(theirs)}: {', '.join(different[:2])}{' ...' if len(different) > 2 else ''} "
            "are of one alone"
        )


def _check_init(run: FinishedRun, config: RunConfig) -> None:
    _logits(config)
    highest = max(run.integer_ranks)
    if config.init.freeze and highest > config.rank.max:
        raise SettingError(
            f"init.run must have ranks of at most rank.max={config.rank.max}, but got "
            f"{highest} in {run.folder}"
        )


def _check_adapter(run: FinishedRun, config: RunConfig, base: Path) -> None:
    own, theirs = config.adapter_kind(), recorded_kind(run.record.settings)
    if theirs != own:
        raise SettingError(
            f"adapter must be as in model.adapter={config.model.adapter}, {theirs}, but got {own}"
        )
    rank_max = int(run.record.settings["rank.max"])
    if rank_max != config.rank.max:
        raise SettingError(
            f"rank.max must be {rank_max}, as in model.adapter={config.model.adapter}, whose R "
            f"and scale are of that size, but got {config.rank.max}"
        )
    lora_alpha = run.record.settings.get("model.lora_alpha", LORA_ALPHA)
    if lora_alpha != config.model.lora_alpha:
        raise SettingError(
            f"model.lora_alpha must be {lora_alpha:g}, as in model.adapter="
            f"{config.model.adapter}, whose R is of that scale, but got "
            f"{config.model.lora_alpha:g}"
        )
    _check_factors(run, config)
    if run.record.model_fingerprint != base_fingerprint(base):
        raise SettingError(
            "model.adapter must be a run over the same base, for its R stands between the base's "
            f"singular vectors, but got one over {run.record.settings['model.name']} with other "
            "content"
        )
    n_labels, n_theirs = load_corpus(config.data).task.n_labels, len(run.state[f"{HEAD_OUT}.bias"])
    if config.model.adapter_head and n_labels != n_theirs:
        raise SettingError(
            f"model.adapter_head must be false or null where the labels differ, but got true "
            f"with {n_theirs} outputs for {n_labels}"
        )


def _check_factors(run: FinishedRun, config: RunConfig) -> None:
    own, theirs = recipe_of(config), recorded_recipe(run.record.settings)
    if theirs != own:
        seed = "" if theirs.seed is None else f" with model.factors_seed={theirs.seed}"
        raise SettingError(
            f"model.factors must be {theirs.kind}{seed}, as in model.adapter="
            f"{config.model.adapter}, whose R stands between such factors, but got {own.label}"
        )
