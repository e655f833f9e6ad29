"""optuna-dashboard opens the study of a search, by the command in docs/search.md."""

import json
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

import pytest

from .conftest import JOURNAL, SQLITE

pytest.importorskip("optuna_dashboard", reason="optuna-dashboard is not installed")
pytestmark = pytest.mark.slow


@pytest.fixture
def dashboard() -> Iterator[Callable[[str], str]]:
    """A storage -> the address of a dashboard that shows it."""
    started: list[subprocess.Popen[bytes]] = []

    def start(storage: str) -> str:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        command = [str(Path(sys.executable).parent / "optuna-dashboard"), storage]
        started.append(subprocess.Popen([*command, "--host", "127.0.0.1", "--port", str(port)]))
        return f"http://127.0.0.1:{port}"

    yield start
    for process in started:
        process.terminate()
        process.wait(timeout=30)


def _answer(address: str) -> Any:
    until = time.monotonic() + 120
    while True:
        try:
            with urlopen(address, timeout=30) as answer:
                return json.load(answer)
        except URLError:  # it is not up yet
            if time.monotonic() > until:
                raise
            time.sleep(0.2)


@pytest.mark.parametrize("storage", ["sqlite", "journal"])
def test_dashboard_shows_the_study(
    storage: str, search: Any, dashboard: Callable[[str], str], tmp_path: Path
) -> None:
    search("hydra.sweeper.n_trials=3", JOURNAL if storage == "journal" else SQLITE)
    folder = tmp_path / "s"
    places = {"sqlite": f"sqlite:///{folder}/study.db", "journal": f"{folder}/study.journal"}
    address = dashboard(places[storage])
    (study,) = _answer(f"{address}/api/studies")["study_summaries"]
    assert study["study_name"] == "s"
    trials = _answer(f"{address}/api/studies/{study['study_id']}")["trials"]
    assert [trial["state"] for trial in trials] == ["Complete"] * 3
