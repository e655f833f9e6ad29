"""The command line: what it refuses, how it says so, and that it does not load what it needs not.

Most commands run in this process, which saves their start; `test_sweep.py` runs real ones.
"""

import contextlib
import logging
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import ConfigCompositionException

from lora_sweep import __version__, cli
from lora_sweep.error_lines import MAX_ERROR_LINES, error_lines
from lora_sweep.errors import CorpusError, SettingError

COMPOSED = "error: the settings can't be put together: "
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
        ("lr=nan lr_schedule=x", "lr_schedule is no setting, but got lr_schedule=x", ""),
        ("lr=nan", "lr must be at least 0 and finite, but got nan", ""),
        ("lr=-1", "lr must be at least 0 and finite, but got -1", ""),
        ("lr=${nope}", "the settings can't be put together: Inter", "lr"),
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


@pytest.mark.parametrize("argument", ["run --help", "--cfg=job", "--info=defaults"])
def test_questions_do_not_import_torch(argument: str, tmp_path: Path) -> None:
    code = (
        "import sys; from lora_sweep.cli import main\n"
        "try:\n    main()\nfinally:\n"
        "    print(*{'torch', 'transformers', 'datasets', 'pandas'} & set(sys.modules), "
        "file=sys.stderr)"
    )
    result = subprocess.run(
        [sys.executable, "-c", code, *argument.split()],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert result.stderr.strip() == ""
    assert "learning_rate" in result.stdout
    assert list(tmp_path.iterdir()) == []


WRONG = (
    ("run sweep=demo", "sweep=demo must be run with --multirun"),
    ("run pruner=median", "pruner=median must be in a search"),
    ("run -m pruner=median seed=0,1", "pruner=median must be in a search"),
    ("evaluate nowhere", "nowhere must be the folder of a finished run"),
    ("evaluate {run} data=fles", "data must be one of cola, files"),
    ("evaluate {run} data.max_length=long", "data.max_length must be an integer, but got long"),
    ("evaluate {run} data.dv=x", "data.dv is no setting"),
    ("evaluate {run} lr=0.1", "only data=NAME and data.SETTING=VALUE may be given here"),
    ("predict nowhere --input x.csv --output y.csv", "nowhere must be the folder of a finished"),
    ("predict {run} --input x.csv --output y.csv", "--input must be a file that is there"),
    ("predict {run} --input x.csv --output y", "--input must be a file that is there"),
    ("export nowhere --to peft --out y", "nowhere must be the folder of a finished run"),
    ("export {run} --to peft --out {run}", "--out must be a new or an empty folder"),
    ("report nowhere", "nowhere must hold a sweep"),
    ("status nowhere", "nowhere must be a sweep's folder"),
    (
        "run data=files data.train=no.csv data.dev=no.tsv data.path=at",
        "at/no.csv and at/no.tsv: can't",
    ),
    ("run data=files data.train=. data.dev=.", ".: can't be read: Is a directory"),
    ("run -m data=cola data.path=nowhere seed=0,1", "nowhere must be the folder `raw` of CoLA's"),
    ("run -m data=files data.train=no.csv data.dev=no.csv lr=0,1", "no.csv: can't be read"),
)
"""A wrong command, and the start of what it says, at once."""


def test_wrong_commands_do_not_import_torch(trained_runs: dict[str, Path], tmp_path: Path) -> None:
    code = (
        "import os, sys; from lora_sweep.cli import main\n"
        "for line in sys.argv[1:]:\n"
        "    for name in ('HYDRA_FULL_ERROR', 'LORA_SWEEP_DEBUG'):  # of the line before\n"
        "        os.environ.pop(name, None)\n"
        "    try:\n        main(line.split())\n"
        "    except SystemExit as end:\n        assert end.code == 1\n"
        "print(*{'torch', 'transformers', 'datasets', 'pandas'} & set(sys.modules))"
    )
    lines = [line.format(run=trained_runs["bert"]) for line, _ in WRONG]
    result = subprocess.run(
        [sys.executable, "-c", code, *lines],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    said = [f"error: {start}" for _, start in WRONG]
    assert result.stdout.strip() == ""
    found = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
    assert [line[: len(start)] for line, start in zip(found, said, strict=True)] == said


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
        "error: the settings can't be put together: Could not find 'x'",
        "Available options in 'init': fixed, randn",
    ]


def test_error_has_at_most_five_lines() -> None:
    error = CorpusError("\n".join(f"fault {number}" for number in range(9)))
    lines = error_lines(error)
    assert lines == ["error: fault 0", "fault 1", "fault 2", "fault 3", "fault 4"]


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("no such value\n    full_key: lr", [f"{COMPOSED}no such value", "    full_key: lr"]),
        ("bad lr=x\n    full_key: lr\n    object_type=RunConfig", [f"{COMPOSED}bad lr=x"]),
        ("no 'a'.\nTo append to your config use +a=1", [f"{COMPOSED}no 'a'."]),
    ],
    ids=["key_kept", "key_repeated", "advice"],
)
def test_error_leaves_out_hydras_inside(text: str, lines: list[str]) -> None:
    assert error_lines(ConfigCompositionException(text)) == lines


def test_folder_that_was_deleted_is_said(command: Command, tmp_path: Path) -> None:
    (tmp_path / "gone").mkdir()
    os.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    code, lines = command("run")
    os.chdir(tmp_path)
    assert code == 1
    assert lines[0].startswith("error: the folder that the command is started in must be there")


@pytest.mark.parametrize(
    ("argument", "said"),
    [("--version", f"lora_sweep {__version__}\n"), ("--help", "usage: lora-sweep COMMAND ...\n")],
)
def test_questions_about_the_command_are_answered_by_it(
    argument: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    cli.main([argument])
    out = capsys.readouterr().out
    assert out.startswith(said)
    assert "ydra" not in out


def test_every_command_is_named_in_the_help_and_is_there(
    capsys: pytest.CaptureFixture[str],
) -> None:
    cli.main(["--help"])
    out = capsys.readouterr().out
    files = {file.stem for file in Path(cli.__file__).with_name("commands").glob("*.py")}
    for name in cli.COMMANDS:
        assert f"\n  {name} " in out
        assert name in files


@pytest.mark.parametrize("name", sorted(set(cli.COMMANDS) - {"run"}))
def test_command_has_its_own_help(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        cli.main([name, "--help"])
    assert not end.value.code
    assert capsys.readouterr().out.startswith(f"usage: lora-sweep {name} ")


def test_report_of_a_folder_that_is_none_is_the_reports_to_refuse(command: Command) -> None:
    code, lines = command("report", "nowhere")
    assert code == 1
    assert lines[0].startswith("error: nowhere must hold a sweep")


@pytest.mark.parametrize(
    ("word", "hint"), [("reprot", "did you mean report?"), ("go", "--help says what each does")]
)
def test_unknown_command_is_refused(word: str, hint: str, command: Command) -> None:
    there = "run, status, report, resolve, evaluate, predict, export"
    line = f"error: the command must be one of {there}, but got {word}: {hint}"
    assert command(word) == (1, [line])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("--lr=0.3", "but got --lr=0.3: a setting has no dashes, lr=0.3"),
        ("run --nope", "but got --nope: a setting has no dashes, nope=VALUE"),
        ("--cfg=nope", "the options must be as --help shows them, but got: argument --cfg/-c"),
        ("run lr=0.1, 0.2", "but got lr=0.1, 0.2: type lr=0.1,0.2"),
        ("-m lr=[0.1,0.2]", "but got [0.1,0.2]: type --multirun lr=0.1,0.2"),
        ("max_steps=3", "but got max_steps=3: did you mean training.max_steps?"),
    ],
)
def test_mistyped_command_is_refused_in_one_line(
    arguments: str, message: str, command: Command, tmp_path: Path
) -> None:
    code, lines = command(*arguments.split())
    assert (code, len(lines)) == (1, 1)
    assert message in lines[0]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("line", "offered", "not_offered"),
    [
        ("lora-sweep re", {"report"}, {"run"}),
        ("lora-sweep run training=", {"training=short", "training=published"}, set()),
        ("lora-sweep training=", {"training=short", "training=published"}, {"training=schema"}),
        ("lora-sweep report out", set(), {"report", "run"}),
    ],
)
def test_shell_is_told_what_a_line_may_go_on_with(
    line: str,
    offered: set[str],
    not_offered: set[str],
    command: Command,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("COMP_LINE", line)
    monkeypatch.setattr(sys, "argv", ["lora-sweep"])
    GlobalHydra.instance().clear()
    with contextlib.suppress(SystemExit):
        cli.main(["-sc", "query=bash"])
    words = set(capsys.readouterr().out.split())
    assert offered <= words
    assert not words & not_offered
    assert not [word for word in words if "schema" in word]


def test_refused_single_run_leaves_no_folder(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    check_refused(command("device=cuda"), tmp_path, "device must be there, but got cuda")
    assert not (tmp_path / "outputs").exists()
