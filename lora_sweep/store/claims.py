"""Claims: who trains a pack just now, so that no two processes train the same runs.

A claim is a lease of the library filelock: a file that names process and host and is touched by a
heartbeat. Another process takes it over at once if its owner is known to be dead (same host), else
once it has seen no heartbeat for `LEASE_SECONDS` of its own steady clock; hosts' clocks are never
compared. An owner that was killed between making the file and writing into it leaves it empty,
which filelock would respect for ever: after the same time it is removed. All processes must see
the same files, and creating a file must be exclusive, as on local disks and NFS from version 3 on.
"""

import logging
import os
import time
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import uuid4

import psutil
from filelock import SoftFileLease, Timeout

from lora_sweep.files import writing

LEASE_SECONDS = 120.0
HEARTBEAT_SECONDS = 20.0
CLAIM = ".claim"

log = logging.getLogger(__name__)


_Seen = tuple[int, int, int]


class Claim:
    """A claim that this process holds."""

    def __init__(self, lease: SoftFileLease) -> None:
        """Takes the lease that it stands on."""
        self._lease = lease

    @property
    def is_held(self) -> bool:
        """Whether it is still this process's.

        A process that slept (a closed laptop, SIGSTOP) may have lost it to another meanwhile.
        """
        owner = self._lease.owner
        is_own = owner is not None and owner.token == self._lease.token
        return self._lease.compromise is None and is_own


class Claims:
    """The claims of one process in one folder."""

    def __init__(self, folder: Path, lease_seconds: float = LEASE_SECONDS) -> None:
        """Claims nothing yet.

        Args:
            folder: where the claims' files lie; made if it is not there.
            lease_seconds: how long no heartbeat is seen until a claim counts as given up.
        """
        self.folder, self.lease_seconds = folder, lease_seconds
        # Kept, because a lease times the heartbeats that it sees from one look to the next.
        self._leases: dict[str, SoftFileLease] = {}
        self._empty: dict[Path, tuple[_Seen, float]] = {}

    @contextmanager
    def claimed(self, name: str) -> Iterator[Claim | None]:
        """Holds the claim of that name, or None if another process holds it; never waits.

        Raises:
            StorageError: the claim's file can't be written.
        """
        lease = self._lease(name)
        if not self._acquired(lease):
            yield None
            return
        try:
            yield Claim(lease)
        finally:
            lease.release()
            del self._leases[name]

    def names(self) -> set[str]:
        """Returns all names that are claimed, by one look at the folder; dead owners count too."""
        try:
            with os.scandir(self.folder) as files:
                found = [file.name for file in files]
        except FileNotFoundError:
            return set()
        return {name.removesuffix(CLAIM) for name in found if name.endswith(CLAIM)}

    def is_free(self, name: str) -> bool:
        """Returns whether this process could hold the claim of that name just now."""
        with self.claimed(name) as claim:
            return claim is not None

    def owner(self, name: str) -> str:
        """Returns who holds a claim, as people would say it."""
        lease = self._lease(name)
        if (owner := lease.owner) is not None:
            return f"process {owner.pid} on {owner.hostname}"
        return "a process without a name" if Path(lease.lock_file).exists() else "nobody"

    def _acquired(self, lease: SoftFileLease) -> bool:
        path = Path(lease.lock_file)
        with writing(path):
            for _ in range(2):
                try:
                    lease.acquire(timeout=0)
                except Timeout:
                    if not self._stays_empty(path):
                        return False
                    _remove_empty(path)
                else:
                    return True
        return False

    def _stays_empty(self, path: Path) -> bool:
        """Whether a claim's file has been seen empty and untouched for the lease's duration."""
        seen, now = _look(path), time.monotonic()
        if seen is None:
            self._empty.pop(path, None)
            return False
        before, since = self._empty.get(path, (None, now))
        if before != seen:
            since = now
        self._empty[path] = seen, since
        return now - since >= self.lease_seconds

    def _lease(self, name: str) -> SoftFileLease:
        if name not in self._leases:
            with writing(self.folder):
                self.folder.mkdir(parents=True, exist_ok=True)
            self._leases[name] = SoftFileLease(
                self.folder / f"{name}{CLAIM}",
                lease_duration=self.lease_seconds,
                heartbeat_interval=self.lease_seconds * HEARTBEAT_SECONDS / LEASE_SECONDS,
            )
        return self._leases[name]


def _look(path: Path) -> _Seen | None:
    """What tells one empty file from another, and from itself touched; None for any other."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return None if found.st_size else (found.st_ino, found.st_mtime_ns, found.st_ctime_ns)


def _remove_empty(path: Path) -> None:
    """Takes an empty claim away; of two processes that try, one does.

    Another may have claimed the name just before: then its file is put back.
    """
    aside = path.with_name(f"{path.name}.{uuid4().hex}")
    with suppress(FileNotFoundError):
        path.rename(aside)
        if aside.stat().st_size:
            with suppress(FileExistsError):
                os.link(aside, path)
        aside.unlink()


def unclaimed_first(
    names: Iterable[str],
    *,
    done: Callable[[], Collection[str]],
    claimed: Callable[[], Collection[str]],
) -> Iterator[str]:
    """Yields what is to be tried in turn: what nobody claims, at last what others claim.

    Args:
        names: in the order wanted.
        done: tells what is not to be tried any more; asked again after every name yielded, which
            may have taken hours.
        claimed: tells what others claim; likewise.
    """
    others: list[str] = []
    are_done, are_claimed = done(), claimed()
    for name in names:
        if name in are_done:
            continue
        if name in are_claimed:
            others.append(name)
            continue
        yield name
        are_done, are_claimed = done(), claimed()
    yield from (name for name in others if name not in are_done)


def live_claims(folder: Path) -> dict[str, str]:
    """Returns the claims of a folder that somebody holds, name -> who; changes nothing.

    As for those who claim, a dead process of this host holds nothing, nor does a process without a
    heartbeat for the lease's duration. A single look can't wait for a heartbeat, so it takes the
    last one's age from this machine's clock; a clock that is minutes off misleads it.

    Args:
        folder: where the claims' files lie; need not be there.
    """
    held = {}
    for path in folder.glob("*.claim"):
        try:
            heartbeat = path.stat().st_mtime
        except FileNotFoundError:  # given back since it was listed
            continue
        owner = SoftFileLease(path).owner
        if owner is None or time.time() - heartbeat > (owner.lease_duration or LEASE_SECONDS):
            continue
        if owner.hostname == _this_host() and not _was_alive(owner.pid, heartbeat):
            continue
        held[path.stem] = f"process {owner.pid} on {owner.hostname.partition('?')[0]}"
    return held


def _was_alive(pid: int, at: float) -> bool:
    """Whether the process of that number was there at that time, in seconds of this clock."""
    try:
        return psutil.Process(pid).create_time() <= at + 1  # a younger one has got a dead one's id
    except psutil.NoSuchProcess:
        return False


@cache
def _this_host() -> str:
    """This host as leases name it: hosts and containers that share processes, share the name."""
    with TemporaryDirectory() as folder, SoftFileLease(Path(folder, "own")) as lease:
        owner = lease.owner
    assert owner is not None
    return owner.hostname
