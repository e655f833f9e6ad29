"""Run folders -> what became of each run; what has not changed is not read again.

Making, renaming or deleting a file changes its folder's time. So one look at the sweep's folder
tells which run folders changed since the last one, and only those are opened.
"""

import hashlib
import json
import math
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from lora_sweep.errors import LoraSweepError
from lora_sweep.metrics import metric_words
from lora_sweep.store.record import RESULT_FILE
from lora_sweep.store.run_folder import Settings, read_command
from lora_sweep.store.scope import LAST, Scope
from lora_sweep.store.state import SETTINGS_FILE, RunState, State, read_state
from lora_sweep.store.sweep_list import SWEEP_FILE, read_asked, read_commands, read_sweep

SETTLED_SECONDS = 2.0
"""A folder that changed so shortly before it was read may change again at the same time stamp."""


@dataclass(frozen=True)
class Run:
    """What the status of a sweep needs to know of one run.

    Attributes:
        name: of its folder.
        state: what became of it.
        settings: of the run; empty where they can't be read.
        cell: the same for the runs of one cell; empty where there are no settings.
        reason: why it failed, was pruned, or can't be read.
        metric, value: of a finished run: the metric that a table would show, 0 to 1.
        metric_words: the metric with the label that it is of.
        collapsed: of a finished run: it predicts one class only.
        ended_at: of a finished run, seconds of the file system's clock.
        seconds: of a finished run: trained so long.
        has_begun: of an open run: there is a checkpoint to go on from.
        command: that trains it, of a run that no sweep asked for; empty where none is kept.
        is_misplaced: nobody asked for a run of this name, and its record is another run's.
    """

    name: str
    state: State
    settings: Settings
    cell: str
    reason: str = ""
    metric: str = ""
    metric_words: str = ""
    value: float = math.nan
    collapsed: bool = False
    ended_at: float = math.nan
    seconds: float = math.nan
    has_begun: bool = False
    command: str = ""
    is_misplaced: bool = False


class SweepFolder:
    """The folder of a sweep, looked at again and again."""

    def __init__(self, path: Path, scope: Scope = LAST) -> None:
        """Names the folder, and which of its runs are meant; nothing is read yet."""
        self.path, self.scope = path, scope
        self.n_others = 0
        """Runs that lie there too, but are not meant, as of the last look."""
        self.misplaced: dict[str, str] = {}
        """Folders that were copied -> whose record they hold: no command trains them."""
        self._listed: dict[str, Run] = {}
        self._commands: list[str] = []
        self._asked: list[str] | None = None
        self._list_changed: int | None = None
        self._read: dict[str, tuple[int, Run | None]] = {}

    def look(self) -> list[Run]:
        """Returns the runs that are meant.

        Raises:
            LoraSweepError: the folder is not there, or holds no sweep.
            RecordError: the list of the runs that were asked for can't be read.
        """
        if not self.path.is_dir():
            raise LoraSweepError(f"{self.path} must be a sweep's folder, but got {self._what()}")
        self._look_at_list()
        found = {run.name: run for run in self._folders()}
        self.misplaced = {name: run.reason for name, run in found.items() if run.is_misplaced}
        runs = self._listed | {n: run for n, run in found.items() if not run.is_misplaced}
        self.n_others = 0
        if self._asked is not None:
            self.n_others = len(runs.keys() - set(self._asked))
            runs = {name: runs[name] for name in self._asked}
        if not runs:
            raise LoraSweepError(
                f"{self.path} must hold a sweep, that is {SWEEP_FILE} or run folders, but got "
                f"{self._what()}"
            )
        return list(runs.values())

    @property
    def meant(self) -> list[str]:
        """The listed commands whose runs are meant, as of the last look."""
        return self._commands if self.scope.everything else self._commands[-1:]

    def commands(self, runs: Sequence[Run]) -> list[str]:
        """Returns the commands that ask for some of these runs, those of sweeps first.

        Args:
            runs: of the last look.

        Raises:
            RecordError: the list of the runs that were asked for can't be read.
        """
        names = {run.name for run in runs}
        asking = [one for one in self.meant if names & (read_asked(self.path, one) or {}).keys()]
        return list(dict.fromkeys([*asking, *(run.command for run in runs if run.command)]))

    def _look_at_list(self) -> None:
        """Reads the list of runs if it is another one than at the last look."""
        try:
            changed = (self.path / SWEEP_FILE).stat().st_mtime_ns
        except FileNotFoundError:
            return
        if changed != self._list_changed:
            listed = read_sweep(self.path)
            self._listed = {
                name: _run(RunState(self.path / name, State.OPEN, settings))
                for name, settings in listed.items()
            }
            asked = None if self.scope.everything else read_asked(self.path, self.scope.command)
            self._asked = None if asked is None else list(asked)
            self._commands = read_commands(self.path)
            self._list_changed = changed

    def _folders(self) -> Iterator[Run]:
        with os.scandir(self.path) as entries:
            for entry in entries:
                if entry.name.startswith(".") or not entry.is_dir(follow_symlinks=False):
                    continue
                try:
                    run = self._folder(entry)
                except FileNotFoundError:  # deleted since it was listed
                    continue
                if run is not None:
                    yield run

    def _folder(self, entry: "os.DirEntry[str]") -> Run | None:
        changed = entry.stat(follow_symlinks=False).st_mtime_ns
        read = self._read.get(entry.name)
        if read is not None and read[0] == changed:
            return read[1]
        listed = self._listed.get(entry.name)
        found = read_state(Path(entry.path), None if listed is None else listed.settings)
        run = None if found is None else _run(found)
        if found is not None and run is not None and listed is None:
            command = read_command(found.folder) or ""
            run = replace(run, command=command, is_misplaced=found.is_misplaced)
        if time.time_ns() - changed > SETTLED_SECONDS * 1e9:
            self._read[entry.name] = changed, run
        return run

    def _what(self) -> str:
        if not self.path.exists():
            return "nothing there"
        if not self.path.is_dir():
            return "a file"
        if any((self.path / name).exists() for name in (RESULT_FILE, SETTINGS_FILE)):
            return "the folder of a single run: give the one it lies in"
        return "a folder without them"


def _run(found: RunState) -> Run:
    """What the status needs to know; a run that is tried again is an open one."""
    settings = dict(found.settings) if isinstance(found.settings, dict) else {}
    run = Run(
        name=found.folder.name,
        state=State.OPEN if found.state is State.RETRIED else found.state,
        settings=settings,
        cell=_cell(settings),
        reason="" if found.state is State.RETRIED else found.reason,
        has_begun=found.has_begun,
    )
    if found.record is None:
        return run
    return replace(
        run,
        metric=found.record.metric,
        metric_words=metric_words(found.record.metric, found.record.label_names),
        value=found.record.reported_metric,
        collapsed=found.is_collapsed,
        ended_at=(found.folder / RESULT_FILE).stat().st_mtime,
        seconds=found.record.wall_seconds,
    )


def _cell(settings: Settings) -> str:
    if not settings:
        return ""
    others = {name: value for name, value in settings.items() if name != "seed"}
    return hashlib.sha256(json.dumps(others, sort_keys=True).encode()).hexdigest()
