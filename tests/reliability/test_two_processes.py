"""The same command started twice at once: the work is divided, and nothing is done twice."""

import csv
import json
import re
import signal
from collections.abc import Callable

import pytest
from sweeps import Command, end, wait_for

from lora_sweep.store.finished_packs import FinishedPacks

pytestmark = pytest.mark.slow
Disturbed = Callable[..., Command]


def _trained_epochs(command: Command) -> dict[str, int]:
    """How often each run's first epoch was trained, by its log."""
    return {run.name: (run / "run.log").read_text().count(": epoch 1:") for run in command.runs}


@pytest.mark.parametrize(("launcher", "n_seeds"), [("pack", 2), ("basic", 1)])
def test_two_processes_divide_a_sweep(
    launcher: str, n_seeds: int, undisturbed: Command, disturbed: Disturbed
) -> None:
    command = disturbed(f"n_seeds={n_seeds}", launcher=launcher)
    first = command.start()
    wait_for(lambda: bool(list(command.sweep_dir.glob(".packs/*.claim"))))
    second = command.start()
    ends = [end(process) for process in (first, second)]
    for code, output in ends:
        assert code == 1 and "1 of 3 jobs failed" in output, output
        assert f"{2 * n_seeds} finished, {n_seeds} failed, 0 missing" in output
    times = _trained_epochs(command)
    trained = {run.name for run in command.runs if (run / "result.json").exists()}
    assert len(trained) == 2 * n_seeds
    assert {times[name] for name in trained} == {1}
    with (command.sweep_dir / "runs.csv").open() as stream:
        folders = [row["folder"] for row in csv.DictReader(stream)]
    assert len(folders) == len(set(folders)) == 3 * n_seeds
    if launcher == "pack":
        assert command.numbers() == undisturbed.numbers()


def test_dead_process_is_replaced_by_the_one_that_waits(
    undisturbed: Command, disturbed: Disturbed
) -> None:
    command = disturbed()
    first = command.start()
    wait_for(lambda: bool(command.checkpoints()))
    first.send_signal(signal.SIGSTOP)  # holds its claim, and gets no further
    second = command.start()
    packs = command.sweep_dir / ".packs"
    n_packs = len(json.loads((packs / "packs.json").read_text())["packs"])
    wait_for(lambda: len(FinishedPacks(packs).names()) == n_packs - 1)  # all but the first's
    first.kill()
    end(first)
    code, output = end(second)
    assert code == 1
    assert f"process {first.pid}" in output and "waiting for 4 runs" in output
    assert re.search(r"(1 run goes|2 runs go) on after step", output)  # as it was killed
    assert command.numbers() == undisturbed.numbers()


def test_cell_of_one_run_waits_for_its_turn(
    tmp_path_factory: pytest.TempPathFactory, tiny_settings: list[str], reliability_cache: str
) -> None:
    command = Command(
        tmp_path_factory.mktemp("single"), *tiny_settings, reliability_cache, "training.epochs=20"
    )
    first = command.start()
    wait_for(lambda: bool(command.checkpoints()))
    second = command.start()
    assert [end(process)[0] for process in (first, second)] == [0, 0]
    assert set(_trained_epochs(command).values()) == {1}
