"""Searches and resolves between two batches: not over, though all listed runs are done."""

import time
from dataclasses import replace
from typing import Any

import pytest

from lora_sweep.commands.status import main
from lora_sweep.errors import RecordError
from lora_sweep.status.folders import SweepFolder
from lora_sweep.status.show import commands_to_go_on, status_text
from lora_sweep.status.summary import Status, sweep_status
from lora_sweep.store.claims import Claims
from lora_sweep.store.looks_made import MADE_FILE, write_made
from lora_sweep.store.scope import EVERYTHING
from lora_sweep.store.search_record import TRIALS, SearchRecord, TrialRecord, write_search
from lora_sweep.terminal import make_console
from lora_sweep.vocabulary import RESOLVE

SEARCH = "python -m lora_sweep --multirun search=rank_range"
RESOLVING = f"python -m lora_sweep --multirun {RESOLVE} init=uniform,fixed"


def status(sweep: Any) -> Status:
    return sweep_status(SweepFolder(sweep.path))


def row(now: Status, name: str) -> str:
    """What the terminal says of it."""
    console = make_console()
    console.width = 300
    with console.capture() as capture:
        console.print(status_text(now))
    (line,) = [one for one in capture.get().splitlines() if one.startswith(f"{name} ")]
    return line.removeprefix(name).strip()


def searched(sweep: Any, *, n_trials: int = 6, **changes: Any) -> SearchRecord:
    """A search whose first batch of two trials is there: one finished, one failed."""
    runs = {name: sweep.settings(seed=seed) for seed, name in enumerate("ab")}
    sweep.ask_for(runs, SEARCH)
    sweep.finish("a", 0.5, runs["a"])
    sweep.fail("b", runs["b"], "loss became nan")
    trials = (
        TrialRecord(0, "finished", {"lr": 0.1}, (0.5,), ("a",), (0,), (0.5,)),
        TrialRecord(1, "failed", {"lr": 0.2}, None, ("b",), (1,), (None,), error="nan"),
    )
    names = ("study", "study.db", "tpe", "none", ("accuracy",), ("maximize",))
    record = SearchRecord(*names, n_trials, trials, **changes)
    write_search(sweep.path, record)
    return record


def test_search_is_not_over_between_two_batches(sweep: Any) -> None:
    searched(sweep)
    now = status(sweep)
    assert (now.running, now.left, now.is_over) == (0, 0, False)
    assert row(now, "search") == "2 of 6 trials are there"
    assert row(now, "time to the end").startswith("nothing is trained now: the same command")
    assert commands_to_go_on(now) == [SEARCH]


def test_search_is_not_over_before_the_second_look(sweep: Any) -> None:
    record = searched(sweep, n_trials=2)
    now = status(sweep)
    assert not now.is_over
    assert row(now, "search").startswith("all 2 trials are there, the best ones on fresh seeds")
    write_search(sweep.path, replace(record, is_over=True))
    now = status(sweep)
    assert now.is_over and now.ahead == [] and commands_to_go_on(now) == []


def test_search_whose_trials_are_claimed_is_worked_on(sweep: Any) -> None:
    searched(sweep)
    with Claims(sweep.path / TRIALS).claimed("trial-2"):
        now = status(sweep)
    assert commands_to_go_on(now) == []
    assert row(now, "time to the end") == "not known: 1 trial under way, no run is trained now"
    assert commands_to_go_on(status(sweep)) == [SEARCH]


def test_time_to_the_end_of_a_search_is_that_of_its_listed_runs(sweep: Any) -> None:
    searched(sweep)
    sweep.ask_for({name: sweep.settings(seed=s) for s, name in enumerate("abc")}, SEARCH)
    sweep.agree({"p0": ["c"]})
    with Claims(sweep.path / ".packs").claimed("p0"):
        said = row(status(sweep), "time to the end")
    assert said.endswith("for the runs that are listed so far, if it goes on like this")


@pytest.mark.parametrize("form", [[], ["--json"]], ids=["text", "json"])
def test_watch_goes_on_until_the_search_is_over(
    form: list[str],
    sweep: Any,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    record = searched(sweep)
    looks = iter([record, record, replace(record, is_over=True)])
    monkeypatch.setattr(time, "sleep", lambda seconds: write_search(sweep.path, next(looks)))
    assert main([str(sweep.path), "--watch", *form]) == 0
    assert next(looks, None) is None
    assert "2 of 6 trials are there" in capsys.readouterr().out or not form


def test_search_of_another_command_is_not_waited_for(sweep: Any) -> None:
    searched(sweep)
    sweep.ask_for({"z": sweep.settings(seed=9)}, "another command")
    sweep.finish("z", 0.5, sweep.settings(seed=9))
    assert status(sweep).is_over
    assert not sweep_status(SweepFolder(sweep.path, EVERYTHING)).is_over


@pytest.mark.parametrize(("made", "words"), [(0, "no look yet"), (5, "the look at 5 seeds is")])
def test_resolve_is_not_over_between_two_looks(made: int, words: str, sweep: Any) -> None:
    sweep.ask_for({"a": sweep.settings()}, RESOLVING)
    sweep.finish("a", 0.5, sweep.settings())
    if made:
        write_made(sweep.path, made)
    now = status(sweep)
    assert not now.is_over
    assert row(now, "resolve").startswith(words)
    assert commands_to_go_on(now) == [RESOLVING]
    write_made(sweep.path, 8, is_over=True)
    assert status(sweep).is_over


@pytest.mark.parametrize("file", ["search.json", MADE_FILE])
def test_what_is_ahead_must_be_readable(file: str, sweep: Any) -> None:
    sweep.ask_for({"a": sweep.settings()}, RESOLVING)
    sweep.write("", file, "{")
    with pytest.raises(RecordError, match=file):
        status(sweep)
