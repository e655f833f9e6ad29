"""`python -m lora_sweep.status`: what it prints, and how it ends."""

import json
import subprocess
import sys
import time
from typing import Any

import pytest

from lora_sweep.commands import status as command
from lora_sweep.status.show import MAX_LINES
from lora_sweep.store.claims import Claims


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Any:
    """Arguments -> exit code, stdout, stderr, which has no width."""
    monkeypatch.delenv("COLUMNS", raising=False)

    def call(*arguments: Any) -> tuple[int, str, str]:
        code = command.main([str(argument) for argument in arguments])
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return call


def test_text_names_counts_best_cell_and_reasons(sweep: Any, run: Any) -> None:
    sweep.ask_for({f"r{seed}": sweep.settings(seed=seed) for seed in range(4)})
    sweep.finish("r0", 0.5, sweep.settings(seed=0))
    for seed in (1, 2):
        sweep.fail(f"r{seed}", sweep.settings(seed=seed), "loss became nan [at step 3]")
    code, out, _ = run(sweep.path)
    lines = [" ".join(line.split()) for line in out.splitlines()]
    assert code == 0
    assert lines == [
        f"{sweep.path}: 4 runs: 0 running, 1 finished, 2 failed, 0 pruned, 1 left",
        "collapsed 0 of 1 finished run",
        "runs per hour 60 (from the training of 1 run)",
        "time to the end nothing is trained now: the same command goes on with it",
        "best cell so far the only cell: accuracy 50.00, median of 1 of 4 seeds (incomplete)",
        "failed r1 and 1 more: loss became nan [at step 3]",
        "a command",
    ]


def test_stopped_sweep_says_what_is_saved_and_how_to_go_on(sweep: Any, run: Any) -> None:
    command = f"python -m lora_sweep --multirun seed=0,1,2 model.path={'long/' * 60}"
    sweep.ask_for({f"r{seed}": sweep.settings(seed=seed) for seed in range(3)}, command)
    sweep.agree({"p0": ["r0", "r1"], "p1": ["r2"]})
    for name in ("r0", "r1"):
        sweep.checkpoint(name, epoch=1, step=10, seconds=20)
    code, out, _ = run(sweep.path)
    assert code == 0
    assert "2 of the 3 runs that are left go on from a checkpoint" in out
    assert command in out.splitlines()  # whole, to be copied


def test_command_is_left_out_while_a_pack_trains_and_at_the_end(sweep: Any, run: Any) -> None:
    sweep.ask_for({"r0": sweep.settings()}, "python -m lora_sweep --multirun")
    sweep.agree({"p0": ["r0"]})
    sweep.checkpoint("r0", epoch=1, step=10, seconds=20)
    with Claims(sweep.path / ".packs").claimed("p0"):
        during = run(sweep.path)[1]
    sweep.finish("r0", 0.5, sweep.settings())
    for out in (during, run(sweep.path)[1]):
        assert "--multirun" not in out
        assert "saved midway" not in out


def test_single_runs_that_are_left_have_their_commands(sweep: Any, run: Any) -> None:
    own = "python -m lora_sweep lr=0.1 'data.dev=a b.csv' n_seeds=2"
    for name in ("r0", "r1"):
        sweep.start(name, sweep.settings(seed=int(name[1])))
        sweep.write(name, "command.txt", own)
    assert run(sweep.path)[1].splitlines()[-1] == own  # once
    sweep.ask_for({"s": sweep.settings(seed=2)}, "the sweep's command")
    assert run(sweep.path)[1].splitlines()[-1] == "the sweep's command"
    assert run(sweep.path, "--all")[1].splitlines()[-2:] == ["the sweep's command", own]
    sweep.finish("s", 0.5, sweep.settings(seed=2))
    assert run(sweep.path, "--all")[1].count("the sweep's command") == 0
    for name in ("r0", "r1"):
        sweep.finish(name, 0.5, sweep.settings(seed=int(name[1])))
    assert own not in run(sweep.path, "--all")[1]


def test_other_runs_are_one_line_and_counted_on_request(sweep: Any, run: Any) -> None:
    sweep.start("single", sweep.settings())
    sweep.ask_for({"a": sweep.settings()})
    out = run(sweep.path)[1]
    assert "1 run: 0 running" in out
    assert "1 other run in the folder; --all counts all of them" in out
    assert "2 runs: 0 running" in run(sweep.path, "--all")[1]


def test_many_reasons_are_cut(sweep: Any, run: Any) -> None:
    for seed in range(MAX_LINES + 3):
        sweep.fail(f"r{seed:02}", sweep.settings(seed=seed), f"reason {seed}")
    out = run(sweep.path)[1]
    assert out.count(": reason ") == MAX_LINES
    assert "and 3 more" in out


def test_json_is_one_line_with_the_counts(sweep: Any, run: Any) -> None:
    sweep.finish("a", 0.5, sweep.settings())
    code, out, _ = run(sweep.path, "--json")
    fields = json.loads(out)
    assert (code, out.count("\n")) == (0, 1)
    assert (fields["n_runs"], fields["finished"], fields["best"][0]["median"]) == (1, 1, 0.5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere"], "nowhere must be a sweep's folder, but got nothing there"),
        (["nowhere", "--watch", "0"], "--watch must be above 0 seconds, but got 0"),
        (["nowhere", "--watch", "nan"], "--watch must be above 0 seconds, but got nan"),
    ],
)
def test_wrong_command_ends_in_one_line(arguments: list[str], message: str, run: Any) -> None:
    assert run(*arguments) == (1, "", f"error: {message}\n")


@pytest.mark.parametrize("form", [[], ["--json"]], ids=["text", "json"])
def test_watch_ends_when_nothing_is_left(
    form: list[str], sweep: Any, run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    sweep.ask_for({"a": sweep.settings()})
    naps: list[float] = []

    def nap(seconds: float) -> None:
        naps.append(seconds)
        if len(naps) == 2:
            sweep.finish("a", 0.5, sweep.settings())

    monkeypatch.setattr(time, "sleep", nap)
    code, out, _ = run(sweep.path, "--watch", "3", *form)
    assert (code, naps) == (0, [3.0, 3.0])
    assert ('"finished": 1' if form else "1 finished") in out


def test_ctrl_c_ends_a_watch_without_an_error(
    sweep: Any, run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    sweep.ask_for({"a": sweep.settings()})

    def interrupted(seconds: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(time, "sleep", interrupted)
    assert run(sweep.path, "--watch")[0] == 0


def test_status_loads_nothing_heavy(sweep: Any) -> None:
    sweep.finish("a", 0.5, sweep.settings())
    code = (
        "import sys; from lora_sweep.commands.status import main; main(sys.argv[1:]); "
        "print([name for name in ('torch', 'pandas', 'transformers') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(sweep.path)], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "[]"
