"""Which of a sweep's runs train together: agreed once, and kept until they are done.

A run's last bits depend on the runs beside it. So the packs stand in the sweep's folder, where
every process that works on the sweep, now or after a crash, finds the same ones:

    outputs/<sweep>/.packs/packs.json    pack -> names of its runs; and what the sweep is of
    outputs/<sweep>/.packs/struck.txt    which of them are over since it was written (see `struck`)
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
from lora_sweep.files import read_checked_json, set_aside, to_checked_json, write_text, writing
from lora_sweep.store.finished_packs import Struck
from lora_sweep.store.record import FORMAT_VERSION, check_version
from lora_sweep.store.run_folder import PACKS

PACKS_FILE = "packs.json"

Packs = dict[str, list[str]]
IsDone = Callable[[str], bool]


@dataclass
class _Book:
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

    def drop_done(self, is_done: IsDone, of: Collection[str]) -> None:
        """Drops the packs that hold one of those runs and have nothing left to do."""
        for pack in self.holding(of):
            if all(map(is_done, self.packs[pack])):
                del self.packs[pack]

    def holding(self, names: Collection[str]) -> Packs:
        """Returns the packs that hold one of those runs."""
        wanted = set(names)
        return {p: m for p, m in self.packs.items() if not wanted.isdisjoint(m)}

    def copy(self) -> "_Book":
        """Returns a book of its own; the packs' members are never changed."""
        return _Book(self.n_made, dict(self.packs), dict(self.origins))

    @property
    def listed(self) -> set[str]:
        """Names of the runs that stand in a pack."""
        return {name for members in self.packs.values() for name in members}


class SweepPacks:
    """The packs of one sweep; every change is one process's at a time."""

    def __init__(self, sweep_dir: Path) -> None:
        """Names the sweep; nothing need be there yet."""
        self.folder = sweep_dir / PACKS
        self._path = self.folder / PACKS_FILE
        self._struck = Struck(self.folder)
        self._read_at: tuple[int, ...] = ()
        self._book = _Book()

    def check_origins(self, origins: Mapping[str, str], *, replace: bool) -> None:
        """Checks that the sweep is of the same things as when it was started, and notes new ones.

        Args:
            origins: what (`code`, `model ...`) -> fingerprint of its content.
            replace: note changed ones instead.

        Raises:
            RecordError: one has changed.
        """
        with self._changed() as book:
            for what, fingerprint in origins.items():
                known = book.origins.get(what, fingerprint)
                if known != fingerprint and not replace:
                    raise RecordError(
                        f"{self.folder.parent} must hold runs of one {what}, but got one whose "
                        f"content has changed ({known[:8]} -> {fingerprint[:8]}): choose another "
                        "paths.sweep=NAME, or finished=overwrite"
                    )
            book.origins |= origins

    def reopen(
        self, names: Sequence[str], is_done: IsDone, clear: Callable[[str], object]
    ) -> None:
        """Calls `clear` for the runs that an interrupted pack does not hold.

        Within a pack that is not done, a run that failed, finished or was pruned stays so.

        Args:
            names: of runs.
            is_done: whether a run has finished, failed or been pruned.
            clear: makes a run one that is to be trained.
        """
        with self._changed() as book:
            book.drop_done(is_done, names)
            listed = book.listed
            for name in names:
                if name not in listed:
                    clear(name)

    def agree(
        self,
        names: Sequence[str],
        is_done: IsDone,
        size: Callable[[Sequence[str]], int],
        *,
        together: int = 1,
    ) -> Packs:
        """Returns the packs that hold these runs, with all their members.

        Runs that stand in none are put into new ones, while other processes wait.

        Args:
            names: of compatible runs.
            is_done: whether a run has finished, failed or been pruned.
            size: tells, of the runs that stand in no pack, how many are to train at once.
            together: so many runs, neighbours in `names`, are kept in one pack where it can be.
        """
        with self._changed() as book:
            book.drop_done(is_done, names)
            listed = book.listed
            new = [name for name in names if name not in listed and not is_done(name)]
            if new:
                book.add(new, size(new), together)
            return book.holding(names)

    def split(self, pack: str, is_done: IsDone) -> None:
        """Replaces a pack by its halves; runs that are done are left out."""
        with self._changed() as book:
            left = [name for name in book.packs.pop(pack, []) if not is_done(name)]
            if left:
                book.add(left, -(-len(left) // 2))

    def drop_done(self, pack: str, is_done: IsDone) -> None:
        """Strikes a pack out if it has nothing left to do."""
        with self._locked():
            if self.holds(pack) and all(map(is_done, self._book.packs[pack])):
                self._struck.add(pack)

    def holds(self, pack: str) -> bool:
        """Returns whether the pack is still to be trained: not done, nor split."""
        return pack in self._read().packs and pack not in self.over()

    def over(self) -> Collection[str]:
        """Returns the packs that are done: at least those since the list was last written."""
        return self._struck.names()

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
    def _changed(self) -> Iterator[_Book]:
        """The book without what is struck out; written again if its block changes it."""
        with self._locked():
            book, over = self._read().copy(), self.over()
            book.packs = {pack: m for pack, m in book.packs.items() if pack not in over}
            before = book.copy()
            yield book
            if book != before:
                write_text(self._path, _to_text(book))

    def _read(self) -> _Book:
        """The book as it was written last, read again only if it has been since."""
        try:
            # Opened, because network file systems look at a file anew only then.
            with self._path.open("rb") as stream:
                stat = os.fstat(stream.fileno())
        except FileNotFoundError:
            return self._anew()
        read_at = stat.st_ino, stat.st_mtime_ns, stat.st_size
        if read_at == self._read_at:
            return self._book
        try:
            fields, _ = read_checked_json(self._path)
            check_version(self._path, fields)
            self._book, self._read_at = _Book(**fields), read_at
        except (DamagedFileError, TypeError) as error:
            set_aside(self._path, error, "the packs are agreed anew")
            return self._anew()
        return self._book

    def _anew(self) -> _Book:
        """An empty book, whose packs get no name that is struck out already."""
        n_made = 1 + max((int(pack.rpartition("-")[2]) for pack in self.over()), default=-1)
        self._book, self._read_at = _Book(n_made), ()
        return self._book


def read_packs(sweep_dir: Path) -> Packs:
    """Returns the packs that are not done, as they stand; none without a list. Changes nothing.

    Raises:
        RecordError: the list can't be read, or is of another version.
    """
    path = sweep_dir / PACKS / PACKS_FILE
    try:
        fields, _ = read_checked_json(path)
        check_version(path, fields)
        over = Struck(sweep_dir / PACKS).names()
        return {pack: names for pack, names in _Book(**fields).packs.items() if pack not in over}
    except FileNotFoundError:
        return {}
    except (OSError, DamagedFileError, TypeError) as error:
        raise RecordError(f"{path} can't be read: {error}") from error


def _to_text(book: _Book) -> str:
    fields: dict[str, Any] = {"format_version": FORMAT_VERSION, **vars(book)}
    return to_checked_json(fields, indent=1)
