"""The first hour with the commands, on a terminal of 80 columns, step by step."""

import os
import re
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from processes import ENVIRONMENT
from pseudo_terminal import WIDTH, OnTerminal

from .conftest import make_base, sentences

pytestmark = pytest.mark.slow

SETTINGS = (
    "model.path=base data=files data.train=train.csv data.dev=dev.csv data.text=message "
    "data.label=topic training.batch_size=8 rank.min=1 rank.max=4 rank.average=2 device=cpu"
)
SWEEP = (
    f"lora-sweep run --multirun {SETTINGS} init=quadratic,fixed seed=0,1 paths.sweep=topics "
    "training.epochs=4 learning_rate.adapter=0.1 learning_rate.head=0.1 "
    "hydra.launcher.pack_size=2 hydra.callbacks.report.figures=false"
)
EXIT_CODES = {"stopped": 130, "refused": 1, "done": 0}


class Shell:
    """Somebody at a terminal, in a folder with files of their own.

    Attributes:
        folder: where all commands are typed.
        transcript: what was typed and what then stood there.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.transcript: list[str] = []

    def type(
        self, line: str, ends: str = "done", stop_at: Callable[[str], bool] | None = None
    ) -> str:
        """Types a line, and returns what the screen shows in the end; checks what always holds."""
        environment = os.environ | ENVIRONMENT | {"LORA_SWEEP_CACHE": str(self.folder / "cache")}
        command = OnTerminal(_forked(line), cwd=self.folder, env=environment)
        code, shown = command.end(stop_at=stop_at)
        self.transcript.append(f"$ {line}\n{shown}")
        (self.folder / "transcript.txt").write_text("\n".join(self.transcript), encoding="utf-8")
        assert code == EXIT_CODES[ends], shown
        for word in ("Traceback", "HYDRA", "Hydra", "hydra.errors", "UserWarning"):
            assert word not in shown
        assert [one for one in shown.splitlines() if _is_cut(one)] == []
        return shown


def _forked(line: str) -> list[str]:
    """What a fork is told for a line of a shell, its command as a module."""
    match shlex.split(line):
        case ["python", "-m", *words]:
            return words
        case ["lora-sweep", *words]:
            return ["lora_sweep", *words]
    raise AssertionError(f"neither of the two ways to call it: {line}")


def _is_cut(line: str) -> bool:
    """Whether the terminal cuts a word in two, but for what is to be pasted: it stays whole."""
    if line.startswith(("python -m ", "lora-sweep ", "run: ", "report: ")):
        return False
    ends = range(WIDTH, len(line), WIDTH)
    return any(" " not in line[end - 1 : end + 1] and " " in line[:end].strip() for end in ends)


def next_commands(shown: str) -> dict[str, str]:
    """The commands that stand there to be pasted: name of the command -> line."""
    lines = [one for one in shown.splitlines() if one.startswith("python -m lora_sweep")]
    return {line.split()[2].removeprefix("lora_sweep.").replace("_", "-"): line for line in lines}


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    """In a folder with a base and two CSV files."""
    folder = tmp_path_factory.mktemp("first_hour")
    make_base(folder / "base", "bert")
    for name, rows in (("train", sentences(48)), ("dev", sentences(24, start=48))):
        lines = [f"{text},{('other', 'sees')[label]}" for text, label in rows]
        (folder / f"{name}.csv").write_text("\n".join(["message,topic", *lines]) + "\n")
    yield Shell(folder)


@pytest.fixture(scope="module")
def first_run(shell: Shell) -> str:
    """What the first run shows."""
    return shell.type(f"lora-sweep run {SETTINGS} init=quadratic lr=0.002 model.pooling=cls")


@pytest.fixture(scope="module")
def stopped(shell: Shell) -> str:
    """What a sweep shows that is stopped by Ctrl-C in its first pack."""
    return shell.type(SWEEP, "stopped", lambda said: "epoch 2: loss" in said)


@pytest.fixture(scope="module")
def sweep(shell: Shell, stopped: str) -> str:
    """What the sweep shows that goes on, by the command that the status prints."""
    status = shell.type("lora-sweep status outputs/topics")
    assert "2 of the 4 runs that are left go on from a checkpoint" in status
    return shell.type(next_commands(status)["lora-sweep"])


def test_nothing_typed_shows_the_commands_and_trains_nothing(shell: Shell) -> None:
    shown = shell.type("lora-sweep")
    for name in ("run", "status", "report", "evaluate", "predict", "export"):
        assert re.search(rf"^  {name} +\w", shown, re.MULTILINE)
    assert "lora-sweep run init=quadratic lr=0.002" in shown
    assert not (shell.folder / "outputs").exists()


def test_help_of_run_shows_groups_and_settings(shell: Shell) -> None:
    shown = shell.type("lora-sweep run --help")
    assert "\nrank:\n  min: 5\n" in shown
    assert "right_skewed" in shown


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("lora-sweep run lr=fast", "error: lr must be a number, but got fast"),
        ("lora-sweep run init=quadratc", "but got quadratc: did you mean quadratic?"),
        ("lora-sweep run ranks.min=3", "did you mean rank.min"),
        ("lora-sweep rnu", "did you mean run?"),
        ("lora-sweep run --mulitrun lr=1,2", "did you mean --multirun?"),
        ("lora-sweep run lr=0.1,0.2", "add --multirun (-m) for a run with each"),
        (f"lora-sweep run {SETTINGS} data.dev=no.csv", "error: no.csv: can't be read"),
        ("lora-sweep status outputs/typics", "must be a sweep's folder, but got nothing there"),
    ],
)
def test_mistake_is_told_in_a_sentence(line: str, said: str, shell: Shell) -> None:
    shown = " ".join(shell.type(line, "refused").split())
    assert shown.startswith("error: ")
    assert said in shown
    assert shown.count("error") == 1


def test_run_shows_epochs_result_and_its_folder(first_run: str, shell: Shell) -> None:
    assert [f"epoch {epoch}: loss" in first_run for epoch in (1, 2, 3, 4)] == [*[True] * 3, False]
    assert re.search(r"accuracy: best \d+\.\d\d \(epoch \d", first_run)
    (folder,) = re.findall("^run: (.*)$", first_run, re.MULTILINE)
    assert (shell.folder / folder / "result.json").is_file()


def test_what_a_run_says_to_type_next_works(first_run: str, shell: Shell) -> None:
    following = next_commands(first_run)
    assert list(following) == ["evaluate", "export", "report", "predict"]
    assert "--to peft" in following["export"]
    for line in (following["evaluate"], following["export"], following["predict"]):
        shell.type(line)
    (export,) = (shell.folder / "exports").iterdir()
    rows = (shell.folder / f"{export.name}.csv").read_text(encoding="utf-8").splitlines()
    assert rows[0].startswith("message,topic,predicted,probability_other,probability_sees")
    assert len(rows) == 25


def test_stopped_sweep_says_that_it_is_saved_and_goes_on(stopped: str) -> None:
    said = " ".join(stopped.split())
    assert "stopping: the step is finished and saved first" in said
    assert "its 2 runs are saved: the same command goes on from there" in said


def test_stopped_run_goes_on_by_the_command_that_it_and_the_status_print(shell: Shell) -> None:
    line = f"lora-sweep run {SETTINGS} init=fixed training.epochs=40 'paths.sweep=a run'"
    shown = shell.type(line, "stopped", lambda said: "epoch 2: loss" in said)
    assert "the run is saved: the same command goes on from there" in " ".join(shown.split())
    command = next_commands(shown)["lora-sweep"]
    assert command == line.replace("lora-sweep run", "python -m lora_sweep")
    assert next_commands(shell.type("lora-sweep status 'outputs/a run'"))["lora-sweep"] == command
    assert "1 run goes on after step" in shell.type(command)


def test_sweep_goes_on_and_ends_with_an_answer(sweep: str, shell: Shell) -> None:
    said = " ".join(sweep.split())
    assert "2 runs go on after step" in said
    assert "epoch 1: loss" not in said.partition("2 runs together trained")[0]
    assert "4 runs in 2 cells: 4 finished, 0 failed, 0 missing" in said
    assert "Quadratic" in said and "fixed, rank 2" in said
    assert (shell.folder / "outputs/topics/report.html").is_file()
    assert "nothing is left" in shell.type("lora-sweep status outputs/topics")


def test_what_a_sweep_says_to_type_next_works(sweep: str, shell: Shell) -> None:
    following = next_commands(sweep)
    assert list(following) == ["evaluate", "export", "predict"]
    assert "--to loraxs" in following["export"]  # its pooling is the default, mean
    assert "model.pooling must be cls" in " ".join(sweep.split())
    shell.type(following["export"])


def test_report_says_what_the_sweep_said(sweep: str, shell: Shell) -> None:
    shown = shell.type("lora-sweep report outputs/topics --no-figures --no-html")
    report = [line for line in shown.splitlines() if line]
    assert "Best cell: " in shown
    assert [line for line in report if line not in sweep.splitlines()] == []
