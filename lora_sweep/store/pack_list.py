"""Which of a sweep's runs train together: agreed once, and kept until they are done.

A run's last bits depend on the runs beside it. So the packs stand in the sweep's folder, where
every process that works on the sweep, now or after a crash, finds the same ones:

    outputs/<sweep>/.packs/packs.json    pack -> names of its runs; and what the sweep is of
    outputs/<sweep>/.packs/finished.txt  which of them are done since it was written
    outputs/<sweep>/.packs/<pack>.claim  who trains it just now (see `claims`)
"""

import os
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from filelock import FileLock

from lora_sweep.errors import DamagedFileError, RecordError
from lora_sweep.files import (
    opened,
    read_checked_json,
    set_aside,
    to_checked_json,
    write_text,
    writing,
)
from lora_sweep.store.finished_packs import FinishedPacks
from lora_sweep.store.record import FORMAT_VERSION, check_version
from lora_sweep.store.run_folder import PACKS, RunFolder
from lora_sweep.store.state import is_done

PACKS_FILE = "packs.json"

Packs = dict[str, list[str]]


@dataclass
class _Content:
    """What stands in the file.

    Attributes:
        n_made: packs made so far; the next one's number.
        packs: pack -> names of its runs, for packs with a run that is not done.
        origins: what the sweep is of (code, base models, corpora) -> fingerprint.
    """

    n_made: int = 0
    packs: Packs = field(default_factory=dict)
    origins: dict[str, str] = field(default_factory=dict)

    def add(self, names: Sequence[str], size: int, together: int = 1) -> None:
        """Adds packs of like size, none of them larger than that.

        As far as the size allows, each holds a multiple of `together` runs.
        """
        unit = together if together <= size else 1
        n_units = -(-len(names) // unit)
        n_packs = -(-n_units // (size // unit))
        even = -(-n_units // n_packs) * unit  # none is left with a single run
        for start in range(0, len(names), even):
            self.packs[f"pack-{self.n_made:06d}"] = list(names[start : start + even])
            self.n_made += 1

    def holding(self, names: Collection[str]) -> Packs:
        """Returns the packs that hold one of those runs."""
        wanted = set(names)
        return {p: m for p, m in self.packs.items() if not wanted.isdisjoint(m)}

    def copy(self) -> "_Content":
        """Returns a copy; the packs' members are never changed."""
        return _Content(self.n_made, dict(self.packs), dict(self.origins))

    @property
    def listed(self) -> set[str]:
        """Names of the runs that stand in a pack."""
        return {name for members in self.packs.values() for name in members}


class PackList:
    """The packs of one sweep; every change is one process's at a time."""

    def __init__(self, sweep_dir: Path) -> None:
        """Names the sweep; nothing need be there yet."""
        self.folder = sweep_dir / PACKS
        self._sweep_dir = sweep_dir
        self._path = self.folder / PACKS_FILE
        self._finished = FinishedPacks(self.folder)
        self._read_at: tuple[int, ...] = ()
        self._content = _Content()

    def check_origins(self, origins: Mapping[str, str], *, replace: bool) -> None:
        """Checks that the sweep is of the same things as when it was started, and notes new ones.

        Args:
            origins: what (`code`, `model ...`) -> fingerprint of its content.
            replace: note changed ones instead.

        Raises:
            RecordError: one has changed.
        """
        with self._changed() as content:
            for what, fingerprint in origins.items():
                known = content.origins.get(what, fingerprint)
                if known != fingerprint and not replace:
                    raise RecordError(
                        f"{self._sweep_dir} must hold runs of one {what}, but got one whose "
                        f"content has changed ({known[:8]} -> {fingerprint[:8]}): choose another "
                        "paths.sweep=NAME, or finished=overwrite"
                    )
            content.origins |= origins

    def reopen(self, names: Sequence[str]) -> None:
        """Makes runs that are done ones to be trained, unless an interrupted pack holds them.

        Within a pack that is not done, a run that failed, finished or was pruned stays so.
        """
        with self._changed() as content:
            self._drop_done(content, names)
            listed = content.listed
            for name in names:
                if name not in listed:
                    RunFolder(self._sweep_dir / name).reopen()

    def agree(
        self,
        names: Sequence[str],
        size: Callable[[Sequence[str]], int],
        *,
        together: int = 1,
    ) -> Packs:
        """Returns the packs that hold these runs, with all their members.

        Runs that stand in none are put into new ones, while other processes wait.

        Args:
            names: of compatible runs.
            size: tells, of the runs that stand in no pack, how many are to train at once.
            together: so many runs, neighbours in `names`, are kept in one pack where it can be.
        """
        with self._changed() as content:
            self._drop_done(content, names)
            listed = content.listed
            new = [name for name in names if name not in listed and not self._is_done(name)]
            if new:
                content.add(new, size(new), together)
            return content.holding(names)

    def split(self, pack: str, *, together: int = 1) -> None:
        """Replaces a pack by its halves; runs that are done are left out.

        Args:
            pack: its name.
            together: so many neighbouring runs are kept in one pack, if a half has room for them.
        """
        with self._changed() as content:
            left = [name for name in content.packs.pop(pack, []) if not self._is_done(name)]
            if left:
                content.add(left, -(-len(left) // 2), together)

    def finish(self, pack: str) -> None:
        """Notes that a pack is done, if it has nothing left to do."""
        with self._locked():
            if self.holds(pack) and all(map(self._is_done, self._content.packs[pack])):
                self._finished.add(pack)

    def holds(self, pack: str) -> bool:
        """Returns whether the pack is still to be trained: not done, nor split."""
        return pack in self._read().packs and pack not in self.finished()

    def finished(self) -> Collection[str]:
        """Returns the packs that are done: at least those since the list was last written."""
        try:
            return self._finished.names()
        except DamagedFileError as error:
            set_aside(self._finished.path, error, "its packs are looked at once more")
            return set()

    def _is_done(self, name: str) -> bool:
        return is_done(self._sweep_dir / name)

    def _drop_done(self, content: _Content, of: Collection[str]) -> None:
        """Drops the packs that hold one of those runs and have nothing left to do."""
        for pack in content.holding(of):
            if all(map(self._is_done, content.packs[pack])):
                del content.packs[pack]

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Nobody else changes the packs meanwhile."""
        with writing(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            lock = FileLock(self.folder / f".{PACKS_FILE}.lock")
            lock.acquire()
        try:
            yield
        finally:
            lock.release()

    @contextmanager
    def _changed(self) -> Iterator[_Content]:
        """The content without the finished packs; written again if its block changes it."""
        with self._locked():
            content, finished = self._read().copy(), self.finished()
            content.packs = {p: m for p, m in content.packs.items() if p not in finished}
            before = content.copy()
            yield content
            if content != before:
                write_text(self._path, _to_text(content))

    def _read(self) -> _Content:
        """The content as it was written last, read again only if it has been since."""
        try:
            # Opened, because network file systems look at a file anew only then.
            with opened(self._path) as stream:
                stat = os.fstat(stream.fileno())
            read_at = stat.st_ino, stat.st_mtime_ns, stat.st_size
            if read_at == self._read_at:
                return self._content
            fields = read_checked_json(self._path)
            check_version(self._path, fields)
            self._content, self._read_at = _Content(**fields), read_at
        except FileNotFoundError:
            return self._anew()
        except (DamagedFileError, TypeError) as error:
            set_aside(self._path, error, "the packs are agreed anew")
            return self._anew()
        return self._content

    def _anew(self) -> _Content:
        """Nothing, but no later pack gets a finished one's name."""
        n_made = 1 + max((int(pack.rpartition("-")[2]) for pack in self.finished()), default=-1)
        self._content, self._read_at = _Content(n_made), ()
        return self._content


def read_packs(sweep_dir: Path) -> Packs:
    """Returns the packs that are not done, as they stand; none without a list. Changes nothing.

    Raises:
        RecordError: the list can't be read, or is of another version.
    """
    path = sweep_dir / PACKS / PACKS_FILE
    try:
        fields = read_checked_json(path)
        check_version(path, fields)
        finished = FinishedPacks(sweep_dir / PACKS).names()
        return {p: m for p, m in _Content(**fields).packs.items() if p not in finished}
    except FileNotFoundError:
        return {}
    except (OSError, DamagedFileError, TypeError) as error:
        raise RecordError(f"{path} can't be read: {error}") from error


def _to_text(content: _Content) -> str:
    fields: dict[str, Any] = {"format_version": FORMAT_VERSION, **vars(content)}
    return to_checked_json(fields, indent=1)
