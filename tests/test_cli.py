"""The command line: what it refuses, how it says so, and that it does not load what it needs not.

Most commands run in this process, which saves their start; `test_sweep.py` runs real ones.
"""

import logging
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import ConfigCompositionException

from lora_sweep import cli
from lora_sweep.error_lines import MAX_ERROR_LINES, error_lines
from lora_sweep.errors import CorpusError, SettingError

Command = Callable[..., tuple[int, list[str]]]


@pytest.fixture
def command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Command]:
    """Arguments -> exit code and the lines on stderr, log lines apart."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HYDRA_FULL_ERROR", "")  # what the entry point sets is undone
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level

    def run(*arguments: str) -> tuple[int, list[str]]:
        os.environ["HYDRA_FULL_ERROR"] = ""
        GlobalHydra.instance().clear()
        monkeypatch.setattr(sys, "argv", ["lora_sweep", *arguments])
        code = 0
        try:
            cli.main()
        except SystemExit as end:
            code = int(end.code or 0)
        lines = capsys.readouterr().err.splitlines()
        return code, [line for line in lines if not line.startswith(("[", "Error executing"))]

    yield run
    GlobalHydra.instance().clear()
    root.handlers, root.level = handlers, level


def check_refused(
    refused: tuple[int, list[str]], outputs: Path, first: str, others: str = ""
) -> None:
    """Exit code 1, few lines with the message, no traceback, and no run's settings on disk."""
    code, lines = refused
    text = "\n".join(lines)
    assert code == 1, text
    assert 1 <= len(lines) <= MAX_ERROR_LINES
    assert lines[0].startswith("error: ")
    assert first in lines[0]
    assert others in text
    assert "Traceback" not in text
    assert not list(outputs.rglob("settings.json"))
    assert not list(outputs.rglob("sweep.json"))


@pytest.mark.parametrize(
    ("arguments", "first", "others"),
    [
        ("init=nope", "init/nope", "options in 'init': fixed, from_run, left_skewed"),
        ("experiment=nope", "experiment/nope", "cola, cola_minilm, qnli, sst2"),
        ("-m sweep=nope", "sweep/nope", "demo, example, initializations"),
        ("learning_rte=1", "learning_rte", "Key 'learning_rte' not in"),
        ("rank.mix=3", "rank.mix", "Did you mean one of: 'min', 'max'?"),
        ("+extra=3", "extra is no setting: the root has allocation, alpha", ""),
        ("rank.min=many", "rank.min=many", "could not be converted to Integer"),
        ("seed=1.5", "seed=1.5", "could not be converted to Integer"),
        ("precision=float16", "precision=float16", "expected one of ['float32', 'bfloat16']"),
        ("lr=nan", "lr must be at least 0 and finite, but got nan", ""),
        ("lr=-1", "lr must be at least 0 and finite, but got -1", ""),
        ("lr=", "lr=", "could not be converted to Float"),
        ("lr=${nope}", "'nope' not found", "lr"),
        ("seed=0,1", "seed=0,1", "add --multirun"),
        ("data=files", "data.dev and data.train must be given", "data.train=VALUE"),
        ("rank.min=21", "rank.average must be within rank.min=21 ... rank.max=25, but got 20", ""),
        ("rank.average=26", "rank.average must be within rank.min=5 ... rank.max=25", ""),
        ("alpha.min=0", "alpha.min must be above 0 and finite, but got 0", ""),
        ("budget.start_average=26", "budget.start_average must be within", "hold or spend it"),
        ("budget=grow budget.start_average=4", "budget.start_average must be within", "got 4"),
        ("training.epochs_discrete=4", "must be within 0 ... training.epochs=3", "got 4"),
        ("sweep=demo", "sweep=demo must be run with --multirun", "but got a single run"),
        ("-m lr=interval(0,1)", "lr must be a list of values", "lr=interval(0,1)"),
        ("-m rank.average=20,30", "but got 30", "in the run rank.average=30"),
        ("-m data=sst2,qnli", "paths.sweep must be the same", "in the run data=sst2"),
        ("-m hydra.sweep.subdir=${hydra.job.num}", "hydra.sweep.subdir must be left as", "got $"),
        ("paths.outputs=~no_user/x", "paths.outputs must be a path without ~", "~no_user/x"),
        ("hydra.run.dir=~no_user/x", "paths.outputs must be a path without ~", "~no_user"),
        ("-m hydra.sweep.dir=~no_user/x", "paths.outputs must be a path without ~", "~no_user"),
        ("paths.cache=~no_user/x", "paths.cache (or LORA_SWEEP_CACHE in the environment)", ""),
        ("data=cola data.path=~no_user/x", "data.path must be a path without ~", "~no_user/x"),
        ("model.path=~no_user/x", "model.path must be a path without ~", "~no_user/x"),
    ],
)  # fmt: skip
def test_wrong_setting_is_refused(
    arguments: str, first: str, others: str, command: Command, tmp_path: Path
) -> None:
    check_refused(command(*arguments.split()), tmp_path, first, others)


@pytest.mark.parametrize("multirun", [[], ["--multirun"]], ids=["one_run", "sweep"])
@pytest.mark.parametrize(
    ("arguments", "first", "others"),
    [
        ("model.path=null model=roberta_base", "neither cached nor reachable", "model.path=DIR"),
        ("model.path=not/there", "model.path=not/there must be a folder", "not/there has none"),
        ("data.train=nope.tsv", "nope.tsv: can't be read", ""),
        ("data.text=sentence", "'sentence'", "there are 'text', 'label'"),
        ("data=cola data.path=.", "must be the folder `raw` of CoLA's archive", ""),
    ],
    ids=["hub", "folder", "file", "column", "cola"],
)
def test_missing_input_is_refused(  # noqa: PLR0917 - fixtures
    arguments: str,
    first: str,
    others: str,
    multirun: list[str],
    command: Command,
    tiny_run: list[str],
    tmp_path: Path,
) -> None:
    is_cola = "data=cola" in arguments
    plain = [s for s in tiny_run if not (is_cola and s.startswith("data"))]
    check_refused(command(*multirun, *plain, *arguments.split()), tmp_path, first, others)


def test_pickled_weights_are_refused(
    command: Command, tiny_base: Path, tiny_run: list[str], tmp_path: Path
) -> None:
    folder = tmp_path / "pickled"
    folder.mkdir()
    (folder / "config.json").write_text((tiny_base / "config.json").read_text())
    (folder / "pytorch_model.bin").write_bytes(b"never read")
    refused = command(*tiny_run, f"model.path={folder}")
    check_refused(refused, tmp_path, "must have safetensors weights", "never read; convert")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("model.adapted=[nope]", "but got 'nope'"),
        ("rank.max=17", "17"),
    ],
    ids=["no_matrix", "rank_over_matrix"],
)
def test_base_that_does_not_fit_ends_the_run(
    arguments: str, message: str, command: Command, tiny_run: list[str], tmp_path: Path
) -> None:
    code, lines = command(*tiny_run, arguments)
    assert code == 1
    assert lines[0].startswith(f"error: {'model.adapted' if 'nope' in arguments else ''}")
    assert message in lines[0]
    assert len(lines) <= MAX_ERROR_LINES
    assert not list(tmp_path.rglob("failure.json"))  # told before a run starts
    assert not list(tmp_path.rglob("result.json"))


@pytest.mark.parametrize("argument", ["--help", "--cfg=job", "--info=defaults"])
def test_questions_do_not_import_torch(argument: str, tmp_path: Path) -> None:
    code = (
        "import sys; from lora_sweep.cli import main\n"
        "try:\n    main()\nfinally:\n"
        "    print(*{'torch', 'transformers', 'datasets', 'pandas'} & set(sys.modules), "
        "file=sys.stderr)"
    )
    result = subprocess.run(
        [sys.executable, "-c", code, argument],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert result.stderr.strip() == ""
    assert "learning_rate" in result.stdout
    assert list(tmp_path.iterdir()) == []


def test_module_is_a_command(tmp_path: Path) -> None:
    result = subprocess.run(
        [sys.executable, "-m", "lora_sweep", "lr=nan"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 1
    assert result.stderr == "error: lr must be at least 0 and finite, but got nan\n"


def test_own_error_is_taken_out_of_its_wrapping() -> None:
    outer = RuntimeError("outer")
    outer.__cause__ = ValueError("middle")
    outer.__cause__.__context__ = SettingError("lr must be x\nin the run y")
    assert error_lines(outer) == ["error: lr must be x", "in the run y"]


def test_error_lists_become_one_line() -> None:
    error = ConfigCompositionException(
        "Could not find 'x'\n\nAvailable options in 'init':\n\tfixed\n\trandn\n"
        "Config search path:\n\tprovider=hydra, path=pkg://hydra.conf\n"
    )
    assert error_lines(error) == [
        "error: Could not find 'x'",
        "Available options in 'init': fixed, randn",
    ]


def test_error_has_at_most_five_lines() -> None:
    error = CorpusError("\n".join(f"fault {number}" for number in range(9)))
    lines = error_lines(error)
    assert lines == ["error: fault 0", "fault 1", "fault 2", "fault 3", "fault 4"]


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("no such value\n    full_key: lr", ["error: no such value", "    full_key: lr"]),
        ("bad lr=x\n    full_key: lr\n    object_type=RunConfig", ["error: bad lr=x"]),
        ("no 'a'.\nTo append to your config use +a=1", ["error: no 'a'."]),
    ],
    ids=["key_kept", "key_repeated", "advice"],
)
def test_error_leaves_out_hydras_inside(text: str, lines: list[str]) -> None:
    assert error_lines(ConfigCompositionException(text)) == lines


def test_folder_that_was_deleted_is_said(command: Command, tmp_path: Path) -> None:
    (tmp_path / "gone").mkdir()
    os.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    code, lines = command()
    os.chdir(tmp_path)
    assert code == 1
    assert lines[0].startswith("error: the folder that the command is started in must be there")
