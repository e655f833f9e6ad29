"""The list of a sweep's runs: `sweep.json`, which run each command asked for.

Several commands may share a folder. Each of them is a sweep of its own, with its own runs; a run
that two of them ask for is trained once.
"""

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path

from filelock import FileLock

from lora_sweep.errors import DamagedFileError, DamagedRecordError, RecordError
from lora_sweep.files import read_checked_json, set_aside, to_checked_json, write_text, writing
from lora_sweep.store.record import FORMAT_VERSION, check_version
from lora_sweep.store.run_folder import Settings
from lora_sweep.store.state import is_done

SWEEP_FILE = "sweep.json"
MOST_LOOKS = 1_000
"""Runs in a row that are not done, after which counting those that are ends."""


def read_sweep(sweep_dir: Path) -> dict[str, Settings]:
    """Returns all runs that were asked for, folder name -> settings; none without a list.

    Raises:
        RecordError: the list can't be read, or is of another version.
    """
    return _read_list(sweep_dir)[0]


def read_commands(sweep_dir: Path) -> list[str]:
    """Returns the commands that asked for runs, the one given last at the end.

    Raises:
        RecordError: the list can't be read, or is of another version.
    """
    return list(_read_list(sweep_dir)[1])


def read_asked(sweep_dir: Path, command: str | None = None) -> dict[str, Settings] | None:
    """Returns the runs that one command asked for, folder name -> settings, in its order.

    Args:
        sweep_dir: folder of the sweep.
        command: None for the one given last.

    Returns:
        None where no command is listed, or not this one.

    Raises:
        RecordError: the list can't be read, or is of another version.
    """
    runs, commands = _read_list(sweep_dir)
    name = next(reversed(commands), None) if command is None else command
    if name not in commands:
        return None
    return {run: runs[run] for run in commands[name]}


def count_growth(sweep_dir: Path) -> int:
    """Returns how many commands asked for runs of the one given last, itself counted.

    Raises:
        RecordError: the list can't be read, or is of another version.
    """
    commands = [set(names) for names in _read_list(sweep_dir)[1].values()]
    return sum(bool(names & commands[-1]) for names in commands)


def add_to_sweep(
    sweep_dir: Path,
    runs: Mapping[str, Settings],
    command: str,
    *,
    earlier: Iterable[str] = (),
    grows: bool = False,
) -> None:
    """Lists a command with its runs, as the one given last; other commands keep theirs.

    A damaged list is set aside as `sweep.json.damaged`, and starts anew.

    Args:
        sweep_dir: folder of the sweep.
        runs: folder name -> settings.
        command: that asks for them.
        earlier: names of listed runs that it asks for too.
        grows: whether what it asked for before stays; else it is replaced.

    Raises:
        RecordError: the list is of another version.
        StorageError: it can't be written.
    """
    path = sweep_dir / SWEEP_FILE
    with writing(path):
        sweep_dir.mkdir(parents=True, exist_ok=True)
    with FileLock(sweep_dir / f".{SWEEP_FILE}.lock"):
        try:
            listed, commands = _read_list(sweep_dir)
        except DamagedRecordError as error:
            set_aside(path, error, "the list of runs starts anew")
            listed, commands = {}, {}
        before = commands.pop(command, [])  # so that it stands last
        known = [*(before if grows else ()), *(name for name in earlier if name in listed)]
        commands[command] = list(dict.fromkeys([*known, *runs]))
        content = {
            "format_version": FORMAT_VERSION,
            "commands": commands,
            "runs": listed | dict(runs),
        }
        write_text(path, to_checked_json(content, indent=1))


def _read_list(sweep_dir: Path) -> tuple[dict[str, Settings], dict[str, list[str]]]:
    """The runs in the sweep's list, and the names of each command's."""
    path = sweep_dir / SWEEP_FILE
    if not path.exists():
        return {}, {}
    try:
        content = read_checked_json(path)
        check_version(path, content)
        runs = dict(content["runs"])
        commands = {
            command: [name for name in names if name in runs]
            for command, names in dict(content["commands"]).items()
        }
        return runs, commands
    except OSError as error:
        raise RecordError(f"{path} can't be read: {error}") from error
    except (DamagedFileError, ValueError, KeyError, TypeError) as error:
        raise DamagedRecordError(f"{path} can't be read: {error}") from error


def count_runs(sweep_dir: Path, names: Sequence[str]) -> tuple[int, int]:
    """Returns how many runs of a command are done, and how many it has.

    It is the command given last among those that asked for all of these runs; runs that no
    command asked for stand for themselves. Done is what has finished, failed or been pruned. A
    process looks again only at runs that it has not seen done yet, and gives up after
    `MOST_LOOKS` in a row that are not: runs are trained in the list's order, so what is done
    stands in front.

    Args:
        sweep_dir: folder of the sweep.
        names: of runs that are to be trained.

    Raises:
        RecordError: the list can't be read, or is of another version.
    """
    return _counter(sweep_dir).count(names)


class _Counter:
    """Which runs of a sweep's commands were seen done."""

    def __init__(self, sweep_dir: Path) -> None:
        self.sweep_dir = sweep_dir
        self.written_at: tuple[int, ...] = ()
        self.commands: list[_Asked] = []

    def count(self, names: Sequence[str]) -> tuple[int, int]:
        self._read()
        for asked in self.commands:
            if all(name in asked.left for name in names):
                return asked.count_done(self.sweep_dir), asked.n_runs
        return 0, len(names)

    def _read(self) -> None:
        """Reads the list anew if it was written since."""
        path = self.sweep_dir / SWEEP_FILE
        stat = path.stat() if path.exists() else None
        written_at = (0,) if stat is None else (stat.st_ino, stat.st_mtime_ns, stat.st_size)
        if written_at != self.written_at:
            _, commands = _read_list(self.sweep_dir)
            self.commands = [_Asked(names) for names in reversed(commands.values())]
            self.written_at = written_at


class _Asked:
    """The runs of one command, and those of them that were not seen done."""

    def __init__(self, names: Sequence[str]) -> None:
        self.n_runs, self.left = len(names), dict.fromkeys(names)

    def count_done(self, sweep_dir: Path) -> int:
        done: list[str] = []
        n_misses = 0
        for name in self.left:
            if is_done(sweep_dir / name):
                done.append(name)
                n_misses = 0
            elif (n_misses := n_misses + 1) >= MOST_LOOKS:
                break
        for name in done:
            del self.left[name]
        return self.n_runs - len(self.left)


@cache
def _counter(sweep_dir: Path) -> _Counter:
    return _Counter(sweep_dir)
