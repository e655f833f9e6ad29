"""Whatever ends a sweep in the middle, the same command ends it with the undisturbed numbers."""

import os
import random
import signal
import time
from collections.abc import Callable

import pytest
from sweeps import TORTURE, Command, end, lines_with, text_of, wait_for

pytestmark = pytest.mark.slow
N_KILLS = 50 if TORTURE else 2
ONE_CELL = ("learning_rate.head=0.01", "n_seeds=1")
Disturbed = Callable[..., Command]


def test_sweep_killed_at_random_moments(undisturbed: Command, disturbed: Disturbed) -> None:
    command, moments = disturbed(), random.Random(0)
    seconds = _seconds_to_train(disturbed(name="measured"))
    n_killed = n_begun = 0
    while n_killed < N_KILLS:
        n_begun += 1
        process = command.start()
        time.sleep(moments.uniform(0.5, 1.4) * seconds)
        process.kill()
        n_killed += end(process)[0] == -signal.SIGKILL
        assert n_begun < 3 * N_KILLS, "most processes came to their end"
    code, output = command.run()
    assert code == 1 and "1 of 3 jobs failed" in output
    assert command.numbers() == undisturbed.numbers()
    for run in command.runs:
        assert not list(run.rglob(".writing-*"))
    assert not command.checkpoints()


def _seconds_to_train(command: Command) -> float:
    """From a process's start to its first checkpoint."""
    started = time.monotonic()
    command.run_until(lambda: bool(command.checkpoints()), signal.SIGKILL)
    return time.monotonic() - started


@pytest.mark.parametrize("n_checkpoints", range(1, 20) if TORTURE else [3])
def test_sweep_killed_between_two_checkpoints(
    n_checkpoints: int, undisturbed: Command, disturbed: Disturbed
) -> None:
    command = disturbed()
    seen: set[str] = set()

    def is_time() -> bool:
        seen.update(map(str, command.checkpoints()))
        return len(seen) >= n_checkpoints

    command.run_until(is_time, signal.SIGKILL)
    code, _ = command.run()
    assert code == 1
    assert command.numbers() == undisturbed.numbers()


@pytest.mark.parametrize(
    ("launcher", "number"),
    [
        ("pack", signal.SIGINT),
        ("basic", signal.SIGTERM),
        *([("pack", signal.SIGTERM), ("basic", signal.SIGINT)] if TORTURE else []),
    ],
)
def test_signal_saves_and_says_how_to_go_on(
    launcher: str, number: signal.Signals, disturbed: Disturbed
) -> None:
    cell = ("learning_rate.head=0.01", "training.epochs=200")
    command = disturbed(*cell, launcher=launcher)
    is_time = lambda: bool(command.checkpoints())  # noqa: E731
    stopped, output = command.run_until(is_time, number, anew=TORTURE and launcher == "pack")
    assert stopped == 128 + number, output
    (said,) = lines_with(output, "stopped after step")
    assert "saved: the same command goes on from there" in said
    assert "Traceback" not in output and "report:" not in output
    step = int(said.split("step ")[1].split()[0])
    newest = {path.parent: path for path in command.checkpoints()}
    assert {int(path.stem.split("-")[1]) for path in newest.values()} == {step}
    assert not list(command.sweep_dir.glob(".packs/*.claim"))
    after, output = command.run_until(lambda: _is_beyond(command, step), signal.SIGINT)
    assert after == 130
    assert f"2 runs go on after step {step} of 600" in output


def _is_beyond(command: Command, step: int) -> bool:
    return any(int(path.stem.split("-")[1]) > step for path in command.checkpoints())


@pytest.mark.parametrize(
    "number",
    [signal.SIGINT, *([signal.SIGTERM] if TORTURE else [])],
    ids=lambda number: number.name,
)
def test_sweep_stopped_within_epochs_ends_undisturbed(
    number: signal.Signals, undisturbed: Command, disturbed: Disturbed
) -> None:
    command = disturbed()
    for n_runs in (1, 5):  # in the first pack, then in the second
        command.run_until(lambda n=n_runs: len(command.runs) >= n, number)
    command.run()
    assert command.numbers() == undisturbed.numbers()


def test_single_runs_stopped_by_signals_end_undisturbed(disturbed: Disturbed) -> None:
    cells = ("learning_rate.head=0.001,0.01", "n_seeds=1")
    straight = disturbed(*cells, name="straight", launcher="basic")
    stopped = disturbed(*cells, name="stopped", launcher="basic")
    straight.run()
    for n_runs in (1, 2):
        stopped.run_until(lambda n=n_runs: len(stopped.runs) >= n, signal.SIGTERM)
    code, output = stopped.run()
    assert code == 0, output
    assert stopped.numbers() == straight.numbers()


def test_job_that_submitit_puts_back_in_the_queue_ends_undisturbed(disturbed: Disturbed) -> None:
    one = (*ONE_CELL, "training.epochs=40")
    straight = disturbed(*one, name="straight", launcher="basic")
    assert straight.run()[0] == 0
    command = disturbed(*one, name="stopped", launcher="submitit")
    process = command.start()
    n_requeues = 2 if TORTURE else 1
    for _ in range(n_requeues):  # as Slurm does before a time limit and at a preemption
        before = len(command.checkpoints())
        wait_for(lambda n=before: len(command.checkpoints()) > n)
        (claim,) = command.sweep_dir.glob(".packs/*.claim")
        (line,) = lines_with(text_of(claim), "pid=")
        os.kill(int(line.removeprefix("pid=")), signal.SIGUSR2)
        wait_for(lambda owner=line: _owner(command) != owner)
    code, output = end(process)
    assert code == 0, output
    assert command.numbers() == straight.numbers()
    logs = "".join(path.read_text() for path in command.sweep_dir.rglob("*_log.*"))
    assert logs.count("1 run goes on after step") == n_requeues


def _owner(command: Command) -> str:
    """The line of the claim that says which process trains; empty while nobody does."""
    for claim in command.sweep_dir.glob(".packs/*.claim"):
        for line in lines_with(text_of(claim), "pid="):
            return line
    return ""


def test_second_ctrl_c_stops_at_once(disturbed: Disturbed) -> None:
    command = disturbed(*ONE_CELL, "training.epochs=200", "training.batch_size=1")
    process = command.start()
    wait_for(lambda: bool(command.checkpoints()))
    process.send_signal(signal.SIGSTOP)  # so that both are there before the step ends
    process.send_signal(signal.SIGINT)
    process.send_signal(signal.SIGTERM)
    process.send_signal(signal.SIGCONT)
    code, output = end(process)
    assert code in (130, 143)
    assert "stopped: the same command goes on from what was saved last" in output
    assert "Traceback" not in output
