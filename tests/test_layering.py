"""Imports point down only: the table says who may import what, and all files are parsed for it."""

import ast
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import lora_sweep

PACKAGE = Path(lora_sweep.__file__).parent
EVERYWHERE = {"errors", "error_lines", "extras", "registry", "rules", "vocabulary", "words"}
FILES_ON_DISK = {"files", "tensor_files"}
# folder or file of the package -> the others that it may import
ALLOWED: dict[str, set[str]] = {
    "durations": set(),
    "padding": set(),
    "interrupt": set(),
    "terminal": set(),
    "files": set(),
    "metrics": set(),
    "spreadsheets": set(),
    "slurm": set(),
    "tensor_files": {"files"},
    "allocation": set(),
    "config": {"adapters", "allocation", "data"},
    "models": set(),
    "trackers": set(),
    "adapters": {"padding", *FILES_ON_DISK},
    "data": {"metrics", "padding", *FILES_ON_DISK},
    "training": {"adapters", "allocation", "data", "metrics", "padding"},
    "library": {"adapters", "allocation", "training", *FILES_ON_DISK},
    "store": {"metrics", "training", *FILES_ON_DISK},
    "execution": {
        *(
            "adapters",
            "allocation",
            "config",
            "data",
            "durations",
            "interrupt",
            "metrics",
            "models",
            "store",
            "trackers",
        ),
        *("tensor_files", "training"),
    },
    "report": {"adapters", "allocation", "files", "metrics", "spreadsheets", "store", "terminal"},
    "status": {"durations", "metrics", "slurm", "store"},
    "trained": {
        *("adapters", "allocation", "config", "data", "execution", "metrics", "models", "store"),
        *("training", *FILES_ON_DISK),
    },
    "predict": {"data", "files", "spreadsheets", "trained"},
    "evaluate": {"config", "data", "execution", "metrics", "plugins", "report", "trained"},
    "export": {"adapters", "files", "metrics", "models", "trained"},
    "launch": {"config", "execution", "interrupt", "report", "slurm", "store", "terminal"},
    "search": {"config", "execution", "files", "interrupt", "launch", "store"},
    "commands": {
        *("config", "evaluate", "execution", "export", "files", "interrupt", "launch", "plugins"),
        *("predict", "report", "status", "store", "terminal", "trained"),
    },
    "resolve": set(),
    "plugins": {"config", "launch", "search"},
    "cli": {"commands", "terminal"},
}
# package -> the parts that may import it
ONLY_IN = {
    "hydra": {
        "config.store",
        "config.arguments",
        "launch",
        "search",
        "commands.run",
        "error_lines",
        "evaluate.sources",
    },
    "optuna": {"search"},
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
REPORT = ("text", "statistics", "table", "compare", "search", "figures", "pages")
"""Folders of `report/`, each of which may import those before it."""
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
    folder = module.partition(".")[0]
    if folder in EVERYWHERE or module.rpartition(".")[2] in ("", "__main__"):
        return []  # these hold no logic
    faults = []
    for name in _imports(source):
        top, _, rest = name.partition(".")
        known = {*ALLOWED[folder], *EVERYWHERE, folder}
        if top == "lora_sweep" and rest and not _within(rest, known):
            faults += [] if rest == "__version__" else [f"{module} imports {name}"]
        if top in ONLY_IN and not _within(module, ONLY_IN[top]):
            faults.append(f"{module} imports {top}")
        if top == "torch" and module.startswith("report") and module != "report.figures.method":
            faults.append(f"{module} imports torch")
    return faults


@pytest.mark.parametrize("file", FILES, ids=_module)
def test_imports_point_down(file: Path) -> None:
    assert _faults(_module(file), file.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("folder", REPORT)
def test_report_imports_point_down(folder: str) -> None:
    later = {f"lora_sweep.report.{name}" for name in REPORT[REPORT.index(folder) + 1 :]}
    files = sorted((PACKAGE / "report" / folder).glob("*.py"))
    named = [(file.name, name) for file in files for name in _imports(file.read_text("utf-8"))]
    assert [one for one in named if _within(one[1], later)] == []


def test_report_has_these_folders() -> None:
    assert {file.parent.name for file in (PACKAGE / "report").glob("*/*.py")} == set(REPORT)


def test_table_has_a_row_for_each_folder() -> None:
    folders = {_module(file).partition(".")[0] for file in FILES}
    assert set(ALLOWED) == folders - {"", "__main__", *EVERYWHERE}


def test_no_two_folders_import_each_other() -> None:
    order = TopologicalSorter(ALLOWED)
    order.prepare()  # raises CycleError


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("adapters.layer", "from lora_sweep.allocation.ranks import capped_ranks"),
        ("training.loop", "from lora_sweep.store.run_folder import RunFolder"),
        ("status.cells", "import lora_sweep.training.loop"),
        ("report.tables", "def f():\n    import torch"),
        ("training.pack", "from transformers import AutoModel"),
        ("data.tasks", "import pandas as pd"),
        ("execution.execute", "import hydra"),
    ],
)
def test_forbidden_imports_are_found(module: str, source: str) -> None:
    assert len(_faults(module, source)) == 1
