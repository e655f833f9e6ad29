"""A small sweep as a process of its own: started, watched, killed, and what it left."""

import dataclasses
import hashlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeAlias

from processes import ENVIRONMENT, Fork

from lora_sweep.store.record import read_result

Process: TypeAlias = "Fork | subprocess.Popen[str]"
TORTURE = bool(os.environ.get("LORA_SWEEP_TORTURE"))
"""Whether the long versions run: `make torture`."""
SECONDS = 300.0
PICTURES = ("hydra.callbacks.report.figures=true", "hydra.callbacks.report.page=true")
"""For a report with all that a user gets: the tests' own settings leave that out."""
REPORT = ("results.csv", "report.md")
NUMBERS = (
    "failure.json",
    "state.safetensors",
    "predictions.safetensors",
    "history.jsonl",
    "settings.json",
)


class Command:
    """`python -m lora_sweep ARGUMENTS` in a folder of its own, with outputs/tiny for its sweep."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.arguments = [*arguments, "paths.sweep=tiny"]
        self.sweep_dir = folder / "outputs" / "tiny"

    def start(self, *more: str, anew: bool = False) -> Process:
        """Starts the process; both its outputs come together.

        Args:
            more: arguments.
            anew: whether as a user does, with all imports, instead of as a fork.
        """
        command = ["lora_sweep", *self.arguments, *more]
        environment = os.environ | ENVIRONMENT
        if not anew:
            return Fork(command, cwd=self.folder, env=environment)
        return subprocess.Popen(
            [sys.executable, "-m", *command],
            cwd=self.folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, *more: str, anew: bool = False) -> tuple[int, str]:
        """Runs it to its end; exit code and output."""
        return end(self.start(*more, anew=anew))

    def run_until(
        self, is_time: Callable[[], bool], number: signal.Signals, anew: bool = False
    ) -> tuple[int, str]:
        """Sends a signal as soon as it is time, and waits for the end."""
        process = self.start(anew=anew)
        wait_for(lambda: is_time() or process.poll() is not None)
        if process.poll() is None:
            process.send_signal(number)
        return end(process)

    @property
    def runs(self) -> list[Path]:
        return sorted(path.parent for path in self.sweep_dir.glob("*/settings.json"))

    def checkpoints(self) -> list[Path]:
        return sorted(self.sweep_dir.glob("*/checkpoints/*.safetensors"))

    def numbers(self) -> dict[str, str]:
        """Hashes of all that a run's numbers stand in, and the report's tables."""
        files = [f for run in self.runs for name in NUMBERS if (f := run / name).exists()]
        found = {str(f.relative_to(self.sweep_dir)): _digest(f.read_bytes()) for f in files}
        for path in self.sweep_dir.glob("*/result.json"):
            record = dataclasses.replace(read_result(path), wall_seconds=0.0, git_commit=None)
            found[str(path.relative_to(self.sweep_dir))] = _digest(record.to_json().encode())
        for name in REPORT:
            lines = (self.sweep_dir / name).read_text(encoding="utf-8").splitlines()
            kept = [line for line in lines if "python -m lora_sweep" not in line]  # the command
            found[name] = _digest("\n".join(kept).encode())
        return found


def end(process: Process) -> tuple[int, str]:
    """Waits for a process; exit code and output."""
    output, _ = process.communicate(timeout=SECONDS)
    return process.returncode, output


def wait_for(is_time: Callable[[], bool], seconds: float = SECONDS) -> None:
    """Returns as soon as it is time.

    Raises:
        TimeoutError: it never was.
    """
    until = time.monotonic() + seconds
    while not is_time():
        if time.monotonic() > until:
            raise TimeoutError(f"nothing happened within {seconds} s")
        time.sleep(0.005)


def text_of(path: Path) -> str:
    """What a file holds that its owner may remove at any time; nothing once it is gone."""
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return ""


def tree(folder: Path) -> dict[str, str]:
    """Every file's hash, by its path."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): _digest(path.read_bytes()) for path in files}


@contextmanager
def mounted_tmpfs(folder: Path, options: str) -> Iterator[Path]:
    """A file system in memory, mounted with these options."""
    folder.mkdir(exist_ok=True)
    _mount("-t", "tmpfs", "-o", options, "tmpfs", str(folder))
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def remount(folder: Path, options: str) -> None:
    """Changes what may be done in a mounted file system."""
    _mount("-o", f"remount,{options}", str(folder))


def can_mount(folder: Path) -> bool:
    """Whether this user may mount a file system."""
    try:
        with mounted_tmpfs(folder, "size=64k"):
            return True
    except (OSError, subprocess.CalledProcessError):
        return False


def _mount(*arguments: str) -> None:
    subprocess.run(["mount", *arguments], check=True, capture_output=True)


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def lines_with(output: str, words: str) -> Sequence[str]:
    return [line for line in output.splitlines() if words in line]
