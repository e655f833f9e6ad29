"""Imports point down only: the table says who may import what, and all files are parsed for it."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import lora_sweep

PACKAGE = Path(lora_sweep.__file__).parent
FILES_ON_DISK = {"files", "tensor_files"}
RUN_STORE = {"files", "runs.predictions", "runs.record", "runs.store", "runs.sweep_list"}
EXECUTION = {"runs.inputs", "runs.keeper", "runs.log", "runs.origin", "runs.plans"}
EVERYWHERE = {"errors", "extras"}
# module or subpackage -> what else of the package it may import, besides its own parts
ALLOWED: dict[str, set[str]] = {
    "padding": set(),
    "interrupt": set(),
    "files": set(),
    "tensor_files": {"files"},
    "adapters": {"padding", *FILES_ON_DISK},
    "allocation": set(),
    "data": {"padding", *FILES_ON_DISK},
    "models": set(),
    "trackers": set(),
    "config": set(),
    "training": {"adapters", "allocation", "data", "padding"},
    "library": {"adapters", "allocation", "config", "tensor_files", "training"},
    "runs.predictions": set(),
    "runs.fields": set(),
    "runs.record": {"files", "runs.fields"},
    "runs.store": {"files", "runs.record"},
    "runs.log": {"files", "runs.store"},
    "runs.referee": set(),
    "runs.search_record": {"files", "runs.fields", "runs.record"},
    "runs.checkpoint": {"training", *FILES_ON_DISK},
    "runs.claims": {"files"},
    "runs.progress": set(),
    "runs.sweep_list": {"files", "runs.record", "runs.store"},
    "runs.struck": {"files"},
    "runs.finished": {"data.tasks", "tensor_files", *RUN_STORE},
    "runs.sources": {
        *("adapters", "config", "models", "training"),
        *("runs.finished", "runs.inputs", "runs.plans"),
    },
    "runs.sweep_packs": {"runs.struck", *RUN_STORE},
    "runs.jobs": {"training", "config", "runs.plans", "runs.sources", *RUN_STORE},
    "runs.plans": {"training", "config"},
    "runs.inputs": {"training", "adapters", "data", "models", "config"},
    "runs.keeper": {
        *("training", "runs.checkpoint", "runs.log", "tensor_files", "trackers"),
        *RUN_STORE,
    },
    "runs.pack_keeper": {"training", "runs.keeper", "runs.log", "runs.referee"},
    "runs.origin": {"config"},
    "runs.pack_size": {"training"},
    "runs.train": {
        *(
            "training",
            "interrupt",
            "runs.checkpoint",
            "runs.jobs",
            "runs.pack_keeper",
            "runs.referee",
            "trackers",
            *RUN_STORE,
            *EXECUTION,
        ),
    },
    "runs.executor": set(),
    "runs.packs": {
        *("runs.claims", "runs.jobs", "runs.pack_size", "runs.sweep_packs", "runs.train"),
        *("runs.executor", "runs.inputs", "runs.referee"),
        *RUN_STORE,
    },
    "runs.pack_task": {
        *("interrupt", "runs.executor", "runs.jobs", "runs.packs", "runs.referee"),
    },
    "runs.dispatch": {
        *("interrupt", "runs.executor", "runs.jobs", "runs.pack_task", "runs.packs"),
        "runs.sweep_packs",
    },
    "runs.execute": {
        *("models", "config", "runs.jobs", "runs.packs", "runs.sweep_packs", "runs.dispatch"),
        "runs.sources",
        *("trackers", *RUN_STORE, *EXECUTION),
    },
    "trained": {
        *("adapters", "allocation", "data", "models", "training", "tensor_files"),
        *("runs.fields", "runs.finished", "runs.inputs", *RUN_STORE),
    },
    "predict": {"data", "files", "runs.plans", "trained"},
    "evaluate": {
        *("cli", "config", "data", "report.statistics", "runs.inputs", "runs.plans"),
        *("trained", "training"),
    },
    "export": {"adapters", "files", "models", "trained", "training"},
    "report": {*RUN_STORE, "runs.search_record"},
    "status": {"runs.claims", "runs.progress", "runs.sweep_packs", *RUN_STORE},
    "report.figures.method": {"allocation.masks", "report"},  # pictures of the masks themselves
    "launch": {
        *("config", "runs.store", "runs.sweep_list", "runs.execute", "report.show"),
        *("runs.packs", "runs.referee", "runs.record", "runs.search_record", "runs.claims"),
        "files",
        *("interrupt", "runs.executor"),
    },
    "cli": {"config", "interrupt", "launch", "runs.execute"},
}
# package -> the parts that may import it
ONLY_IN = {
    "hydra": {"config.store", "launch", "cli", "evaluate.sources"},
    "optuna": {"launch"},
    "joblib": {"launch.executors"},
    "submitit": {"launch.executors"},
    "ray": {"launch.executors"},
    "pandas": {"report"},
    "matplotlib": {"report"},
    "seaborn": {"report"},
    "transformers": {"data", "models", "training.attention", "library.callback"},
    "datasets": {"data"},
    "peft": {"trained.stock"},
    "tensorboard": {"trackers.tensorboard"},
    "wandb": {"trackers.wandb"},
}
FILES = sorted(PACKAGE.rglob("*.py"))


def _module(file: Path) -> str:
    parts = file.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _imports(source: str) -> Iterator[str]:
    """Full names of all that a file imports, wherever in the file it does."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _within(module: str, parts: set[str]) -> bool:
    return any(module == part or module.startswith(f"{part}.") for part in parts)


def _faults(module: str, source: str) -> list[str]:
    """What a module imports and may not."""
    key = module if module in ALLOWED else module.split(".", maxsplit=1)[0]
    if key not in ALLOWED:
        return []  # the package itself and `__main__` hold no logic
    own = {key} if key == module.split(".", maxsplit=1)[0] else {module}
    faults = []
    for name in _imports(source):
        top, _, rest = name.partition(".")
        if top == "lora_sweep" and rest and not _within(rest, ALLOWED[key] | own | EVERYWHERE):
            is_version = rest == "__version__"
            faults += [] if is_version else [f"{module} imports {name}"]
        if top in ONLY_IN and not _within(module, ONLY_IN[top]):
            faults.append(f"{module} imports {top}")
        if top == "torch" and module.startswith("report") and module != "report.figures.method":
            faults.append(f"{module} imports torch")
    return faults


@pytest.mark.parametrize("file", FILES, ids=_module)
def test_imports_point_down(file: Path) -> None:
    assert _faults(_module(file), file.read_text(encoding="utf-8")) == []


def test_every_part_is_in_the_table() -> None:
    modules = {_module(file) for file in FILES} - {"", "__main__", "runs", *EVERYWHERE}
    tops = {module.split(".")[0] for module in ALLOWED}
    assert {module.split(".")[0] for module in modules} == tops
    runs = {module for module in modules if module.startswith("runs.")}
    assert runs == {module for module in ALLOWED if module.startswith("runs.")}


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("adapters.layer", "from lora_sweep.allocation.ranks import capped_ranks"),
        ("training.loop", "from lora_sweep.runs.store import RunFolder"),
        ("runs.record", "import lora_sweep.training.loop"),
        ("report.tables", "def f():\n    import torch"),
        ("training.pack", "from transformers import AutoModel"),
        ("data.tasks", "import pandas as pd"),
        ("runs.execute", "import hydra"),
    ],
)
def test_forbidden_imports_are_found(module: str, source: str) -> None:
    assert len(_faults(module, source)) == 1
