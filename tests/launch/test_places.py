"""Where a command's runs lie: in the folder that it names, in Hydra's way or in ours."""

import json
import os
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from processes import ENVIRONMENT, Fork
from sweeps import end

from lora_sweep.launch.places import quote_homes

Run = Callable[..., str]

PLACES = {
    "nested_home": (["hydra.DIR=~/over/there"], "home/over/there"),
    "absolute_characters": (["hydra.DIR='CWD/a b, c=d {e} $f'"], "a b, c=d {e} $f"),
    "here": (["hydra.DIR=."], "."),
    "interpolated": (["hydra.DIR=there/${data.name}-${seed}"], "there/files-0"),
    "over_paths": (["hydra.DIR=there", "paths.outputs=o", "paths.sweep=s"], "there"),
    "paths_home": (["paths.outputs=~/out", "paths.cache=~/cache"], "home/out/files"),
    "chdir": (["hydra.job.chdir=true"], "outputs/files"),
    "chdir_there": (["hydra.job.chdir=true", "hydra.DIR=there"], "there"),
}
BASIC = ("absolute_characters", "nested_home")
"""Those of sweeps that Hydra's own launcher runs: the pack's takes the same folder."""
TRAINED = ("chdir",)
"""Where the folder of the process matters to the training itself; others only say where it is."""
UNTRAINED = """
from pathlib import Path

from lora_sweep.cli import main
from lora_sweep.execution import execute
from lora_sweep.execution.content import runs_of


def run_cell(config, **more):
    for name in runs_of(config):
        folder = Path(config.paths.outputs, config.paths.sweep, name)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "result.json").touch()
    return 0.5


execute.run_cell = run_cell
execute.run_cells = lambda cells, options: list(map(run_cell, cells))
main()
"""
"""The command, whose runs are finished at once."""
MODES = {
    "run": ("run.dir", []),
    "pack": ("sweep.dir", ["-m"]),
    "basic": ("sweep.dir", ["-m", "hydra/launcher=basic"]),
}


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("data.path=~/data", "~/data"),
        ("model.path=~user/a b=c", "~user/a b=c"),
        ("hydra.sweeper.storage=sqlite:///~/s.db", "sqlite:///~/s.db"),
        ("data.path='~/a, b'", "~/a, b"),
        ("paths.outputs=/a~/b", "/a~/b"),
    ],
)
def test_home_in_a_value_is_read(argument: str, value: str) -> None:
    parsed = OverridesParser.create().parse_override(quote_homes(argument))
    assert parsed.value() == value


def test_homes_in_a_list_are_read() -> None:
    parsed = OverridesParser.create().parse_override(quote_homes("data.path=~/a,b,~/c"))
    assert [*parsed.sweep_string_iterator()] == ["'~/a'", "b", "'~/c'"]


def test_deletion_is_no_home() -> None:
    assert quote_homes("~hydra.callbacks.report") == "~hydra.callbacks.report"


@pytest.fixture
def run(tmp_path: Path, tiny_settings: list[str], tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Arguments (of `lora_sweep` or another module) -> output; both data paths are relative."""
    cache = tmp_path_factory.getbasetemp() / "cache"
    (tmp_path / "home").mkdir()
    environment = {
        **os.environ,
        **ENVIRONMENT,
        "HOME": str(tmp_path / "home"),
        "LORA_SWEEP_CACHE": str(cache),
    }
    given = dict(one.split("=", 1) for one in tiny_settings)
    for name in ("data.path", "model.path"):
        (tmp_path / name).symlink_to(given[name])
        given[name] = name
    settings = [f"{name}={value}" for name, value in given.items()]

    untrained = tmp_path / ".untrained.py"
    untrained.write_text(UNTRAINED)

    def start(*arguments: str, module: str = "lora_sweep", trains: bool = True) -> str:
        own = settings if module == "lora_sweep" else []
        typed = [one.replace("CWD", str(tmp_path)) for one in arguments]
        command = [module if trains else str(untrained), *own, *typed]
        code, output = end(Fork(command, cwd=tmp_path, env=environment))
        assert code == 0, output
        return output

    return start


@pytest.mark.slow
@pytest.mark.parametrize(
    ("mode", "place"),
    [
        *(("run", place) for place in PLACES),
        *(("pack", place) for place in PLACES if place not in BASIC),
    ]
    + [("basic", place) for place in (*BASIC, "chdir")],
)
def test_runs_lie_where_the_command_says(place: str, mode: str, run: Run, tmp_path: Path) -> None:
    arguments, folder = PLACES[place]
    dir_name, options = MODES[mode]
    typed = [one.replace("DIR", dir_name) for one in arguments]
    run(*options, *typed, trains=place in TRAINED)
    (result,) = tmp_path.rglob("result.json")
    assert result.parent.parent == tmp_path / folder
    assert (result.parent / ".hydra" / "config.yaml").is_file()
    top = {Path(folder).parts[0] if Path(folder).parts else result.parent.name}
    given = {"data.path", "model.path", "home"}
    ours = {file.name for file in tmp_path.iterdir() if not file.name.startswith(".")}
    assert ours - given - {"sweep.json", "report.md", "results.csv", "runs.csv"} == top - given


@pytest.mark.slow
def test_all_commands_work_where_the_command_was_started(run: Run, tmp_path: Path) -> None:
    command = ["-m", "hydra.sweep.dir=.", "seed=0,1"]
    run(*command)
    assert "2 runs in 1 cell" in run(".", module="lora_sweep.report")
    status = json.loads(run(".", "--json", module="lora_sweep.status"))
    assert status["finished"] == 2
    assert run(*command).count("is finished: skipped") == 2
    one = next(tmp_path.glob("*/result.json")).parent
    run(str(one), "--to", "loraxs", "--out", "exported", module="lora_sweep.export")
    assert (tmp_path / "exported").is_dir()


@pytest.mark.slow
def test_runs_of_several_corpora_share_a_folder_of_hydras_name(run: Run, tmp_path: Path) -> None:
    """Each option of data has a folder of its own, unless the command names one."""
    run("-m", "hydra.sweep.dir=there", "data.name=a,b", trains=False)
    assert len([*tmp_path.glob("there/*/result.json")]) == 2


@pytest.mark.slow
def test_command_that_a_report_repeats_finds_the_same_folder(run: Run, tmp_path: Path) -> None:
    run("-m", "hydra.sweep.dir='a b/c=d'")
    (command,) = json.loads((tmp_path / "a b" / "c=d" / "sweep.json").read_text())["commands"]
    python, _, module, *arguments = shlex.split(command)
    assert (python, module) == ("python", "lora_sweep")
    assert "is finished: skipped" in run(*arguments)
