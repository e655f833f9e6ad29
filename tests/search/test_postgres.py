"""A study in PostgreSQL: a real server, started for these tests."""

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import optuna
import pytest

from lora_sweep.errors import SettingError
from lora_sweep.search.storage import open_storage, storage_place
from lora_sweep.store.search_record import read_search

from .searches import search_command

pytest.importorskip("psycopg", reason="psycopg is not installed")
PASSWORD = "s3cret-of-the-test"


def _programs() -> Path | None:
    """Where Debian's package, or the search path, has the server's programs."""
    for folder in sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True):
        if (folder / "initdb").exists():
            return folder
    found = shutil.which("initdb")
    return Path(found).parent if found else None


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """The URL of an empty database."""
    programs = _programs()
    if programs is None:
        pytest.skip("PostgreSQL is not installed (Debian: apt-get install postgresql)")
    folder = Path(tempfile.mkdtemp(prefix="postgres-"))
    as_owner: list[str] = []
    if os.getuid() == 0:  # the server refuses to be root
        shutil.chown(folder, "postgres")
        as_owner = ["runuser", "-u", "postgres", "--"]
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]

    def run(program: str, *arguments: str, **more: Any) -> None:
        command = [*as_owner, str(programs / program), *arguments]
        subprocess.run(command, check=True, cwd=folder, stdout=subprocess.DEVNULL, **more)

    data = str(folder / "data")
    secret = folder / "password"
    secret.write_text(PASSWORD)
    run("initdb", "-D", data, "-U", "sweeper", "--auth=scram-sha-256", f"--pwfile={secret}")
    options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={folder}"
    run("pg_ctl", "-D", data, "-w", "-l", str(folder / "log"), "-o", options, "start")
    yield f"postgresql://sweeper:{PASSWORD}@127.0.0.1:{port}/postgres"
    run("pg_ctl", "-D", data, "-w", "-m", "immediate", "stop")
    shutil.rmtree(folder)


def _files_with(text: str, folder: Path) -> list[Path]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    return [path for path in files if text.encode() in path.read_bytes()]


def test_search_in_two_commands_goes_on(server: str, search: Any, tmp_path: Path) -> None:
    own = (f"hydra.sweeper.storage={server}", "hydra.sweeper.n_jobs=2")
    search(*own, "hydra.sweeper.n_trials=2")
    second = search(*own, "hydra.sweeper.n_trials=4")
    assert [number for number, _ in second.launched] == [2, 3]
    record = read_search(tmp_path / "s")
    assert record is not None and [t.status for t in record.trials] == ["finished"] * 4
    assert "***@127.0.0.1" in record.storage
    assert _files_with(PASSWORD, tmp_path) == []
    stored = optuna.load_study(
        study_name="s", storage=open_storage(storage_place(server, tmp_path))
    )
    assert [trial.params for trial in stored.trials] == [trial.params for trial in record.trials]


def test_search_goes_on_in_a_renamed_folder_and_not_in_a_copy(
    server: str, search: Any, tmp_path: Path
) -> None:
    own = (f"hydra.sweeper.storage={server}", "hydra.sweeper.study_name=moving")
    search(*own, "hydra.sweeper.n_trials=1")
    (tmp_path / "s").rename(tmp_path / "renamed")
    second = search(own[0], "hydra.sweeper.n_trials=2", sweep="renamed")
    assert [number for number, _ in second.launched] == [1]
    shutil.copytree(tmp_path / "renamed", tmp_path / "copy")
    with pytest.raises(SettingError, match=r"study moving is of .*renamed: go on there") as said:
        search(own[0], "hydra.sweeper.n_trials=3", sweep="copy")
    assert PASSWORD not in str(said.value)


def test_unreachable_server_is_named_without_its_password(search: Any, server: str) -> None:
    wrong = server.replace("/postgres", "/absent")
    with pytest.raises(SettingError, match=r"storage must be reachable.*\*\*\*@.*absent") as said:
        search(f"hydra.sweeper.storage={wrong}", "hydra.sweeper.n_trials=1")
    assert PASSWORD not in str(said.value)


@pytest.mark.slow
def test_two_processes_share_a_study_in_postgres(
    server: str, tiny_settings: list[str], tmp_path: Path
) -> None:
    name = "hydra.sweeper.study_name=shared"
    command = search_command(
        tmp_path, tiny_settings, f"paths.cache={tmp_path / 'cache'}", name,
        f"hydra.sweeper.storage={server}", "hydra.sweeper.n_trials=2", "training.epochs=1",
    )  # fmt: skip
    run: Callable[[int], tuple[int, str]] = lambda _: command.run()  # noqa: E731
    with ThreadPoolExecutor() as pool:
        ends = list(pool.map(run, range(2)))
    assert [code for code, _ in ends] == [0, 0], ends
    record = read_search(command.sweep_dir)
    assert record is not None and [trial.status for trial in record.trials] == ["finished"] * 2
    told = [{n for n in range(2) if f"trial {n} of 2:" in output} for _, output in ends]
    assert told[0] | told[1] == {0, 1} and not told[0] & told[1]
    assert all(PASSWORD not in output for _, output in ends)
    assert _files_with(PASSWORD, tmp_path) == []
