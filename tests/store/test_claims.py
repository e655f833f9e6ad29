"""Claims: one owner at a time, dead ones are taken over, slept ones find out."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from lora_sweep.store.claims import Claims, _remove_empty, live_claims, unclaimed_first

HOLDER = """
import sys, time
from pathlib import Path
from lora_sweep.store.claims import Claims
with Claims(Path(sys.argv[1]), float(sys.argv[2])).claimed("p") as claim:
    print("holds", flush=True)
    time.sleep(60)
"""


@contextmanager
def held_by_another(folder: Path, seconds: float) -> Iterator["subprocess.Popen[str]"]:
    """A process that holds the claim `p`."""
    arguments = [sys.executable, "-c", HOLDER, str(folder), str(seconds)]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stdout.readline() == "holds\n"
        try:
            yield process
        finally:
            process.kill()


def seconds_until_free(claims: Claims) -> float:
    started = time.monotonic()
    while time.monotonic() - started < 30:
        with claims.claimed("p") as claim:
            if claim is not None:
                return time.monotonic() - started
        time.sleep(0.05)
    raise TimeoutError("the claim was never free")


def test_claim_is_given_back(tmp_path: Path) -> None:
    claims = Claims(tmp_path / "new")
    for _ in range(2):
        with claims.claimed("p") as claim:
            assert claim is not None and claim.is_held
            assert claims.owner("p") == f"process {os.getpid()} on {os.uname().nodename}"
        assert list((tmp_path / "new").iterdir()) == []
    assert claims.owner("p") == "nobody"


def test_live_owner_keeps_its_claim(tmp_path: Path) -> None:
    with held_by_another(tmp_path, 1.0) as process:
        claims = Claims(tmp_path, 1.0)
        for _ in range(5):  # its heartbeat goes on beyond the lease
            with claims.claimed("p") as claim:
                assert claim is None
            time.sleep(0.4)
        assert str(process.pid) in claims.owner("p")
        with claims.claimed("other") as claim:
            assert claim is not None


def test_dead_owner_is_taken_over_at_once(tmp_path: Path) -> None:
    with held_by_another(tmp_path, 60.0) as process:
        process.kill()
        process.wait()
        assert seconds_until_free(Claims(tmp_path, 60.0)) < 5


@pytest.mark.slow
def test_owner_that_sleeps_is_taken_over_and_finds_out(tmp_path: Path) -> None:
    with held_by_another(tmp_path, 1.0) as process:
        process.send_signal(signal.SIGSTOP)
        assert 0.9 < seconds_until_free(Claims(tmp_path, 1.0)) < 10
    with Claims(tmp_path, 1.0).claimed("p") as claim:
        assert claim is not None and claim.is_held
        path = tmp_path / "p.claim"
        content = re.sub(r"\b[0-9a-f]{32}\b", "0" * 32, path.read_text())  # another's token
        path.unlink()
        path.write_text(content)
        assert not claim.is_held


def test_owner_that_was_killed_before_it_wrote_its_name_is_taken_over(tmp_path: Path) -> None:
    (tmp_path / "p.claim").touch()
    claims = Claims(tmp_path, 0.6)
    assert claims.owner("p") == "a process without a name"
    assert 0.5 < seconds_until_free(claims) < 10
    assert list(tmp_path.iterdir()) == []


def test_empty_claim_that_is_touched_is_kept(tmp_path: Path) -> None:
    claims, path = Claims(tmp_path, 0.4), tmp_path / "p.claim"
    for n_beats in range(8):
        path.touch()
        os.utime(path, (n_beats, n_beats))
        with claims.claimed("p") as claim:
            assert claim is None
        time.sleep(0.1)


def test_claim_that_came_into_the_place_of_an_empty_one_is_put_back(tmp_path: Path) -> None:
    with Claims(tmp_path).claimed("p") as claim:
        _remove_empty(tmp_path / "p.claim")
        assert claim is not None and claim.is_held
        assert len(list(tmp_path.iterdir())) == 1


def test_owner_on_another_host_is_taken_over_when_its_heart_stops(tmp_path: Path) -> None:
    claims = Claims(tmp_path, 0.6)
    with claims.claimed("p") as claim:
        assert claim is not None
        foreign = (tmp_path / "p.claim").read_text().replace("host=", "host=far-away-")
    (tmp_path / "p.claim").write_text(foreign)
    os.utime(tmp_path / "p.claim", (10**10, 10**10))  # a clock that is centuries ahead
    assert "far-away" in claims.owner("p")
    assert 0.5 < seconds_until_free(Claims(tmp_path, 0.6)) < 10


def test_clock_that_goes_backwards_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with held_by_another(tmp_path, 1.0):
        claims, now = Claims(tmp_path, 1.0), time.time()
        for hours in (0, -24, 24):
            monkeypatch.setattr(time, "time", lambda hours=hours: now + 3600 * hours)
            with claims.claimed("p") as claim:
                assert claim is None


def test_unclaimed_names_come_before_the_claimed_ones(tmp_path: Path) -> None:
    mine, others = Claims(tmp_path), Claims(tmp_path)
    done: set[str] = set()
    tried = []
    assert mine.names() == set()
    with others.claimed("b"), ExitStack() as claims:
        assert mine.names() == {"b"}
        for name in unclaimed_first("abcdef", done=lambda: done, claimed=mine.names):
            tried.append(name)
            if name == "a":  # while it trains, others end d and begin e
                done.add("d")
                claims.enter_context(others.claimed("e"))
    assert "".join(tried) == "acfbe"


def test_live_claims_are_those_of_living_processes(tmp_path: Path) -> None:
    with held_by_another(tmp_path, 60.0) as process:
        assert list(live_claims(tmp_path)) == ["p"]
        assert str(process.pid) in live_claims(tmp_path)["p"]
        process.kill()
        process.wait()
        assert live_claims(tmp_path) == {}
    assert (tmp_path / "p.claim").exists()  # taking it over is left to those who train


def test_live_claims_need_a_heartbeat(tmp_path: Path) -> None:
    with Claims(tmp_path, 60.0).claimed("p"):
        assert list(live_claims(tmp_path)) == ["p"]
        past = time.time() - 61
        os.utime(tmp_path / "p.claim", (past, past))
        assert live_claims(tmp_path) == {}


def test_live_claim_is_not_one_of_a_reused_process_number(tmp_path: Path) -> None:
    with Claims(tmp_path, 10**9).claimed("p"):
        past = time.time() - 10**8  # this process was not there then
        os.utime(tmp_path / "p.claim", (past, past))
        assert live_claims(tmp_path) == {}


def test_live_claim_of_another_host_is_one_while_its_heart_beats(tmp_path: Path) -> None:
    with Claims(tmp_path, 60.0).claimed("p") as claim:
        assert claim is not None
        foreign = (tmp_path / "p.claim").read_text().replace("host=", "host=far-away-")
    (tmp_path / "p.claim").write_text(foreign)
    assert "on far-away-" in live_claims(tmp_path)["p"]
