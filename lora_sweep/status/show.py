"""A sweep's status as text for people, and as JSON for scripts."""

import dataclasses
import json
from collections.abc import Mapping

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from lora_sweep.durations import duration
from lora_sweep.status.cells import CellStatus
from lora_sweep.status.summary import Status
from lora_sweep.vocabulary import COLLAPSED
from lora_sweep.words import counted, number, pasteable

MAX_LINES = 10
"""As many packs or reasons are listed; the rest is counted."""
UNKNOWN = "not known yet: no run has trained for an epoch"
NOT_NOW = "not known: no run is finished, and none is trained now"


def status_text(status: Status) -> RenderableType:
    """Returns what the terminal shows."""
    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for name, lines in _rows(status).items():
        for place, line in enumerate(lines):
            table.add_row("" if place else name, Text(line))
    return Group(Text(_counts(status), style="bold"), table)


def commands_to_go_on(status: Status) -> list[str]:
    """Returns the commands that train what is left, where nobody does; to be printed unwrapped."""
    if status.is_over or status.packs or status.queue or status.trials_under_way:
        return []
    return _shortened([pasteable(command) for command in status.commands])


def status_json(status: Status) -> str:
    """Returns the status as one line of JSON, with the fields of `Status` and the counts."""
    return json.dumps(dataclasses.asdict(status))


def _counts(status: Status) -> str:
    names = ("running", "finished", "failed", "pruned", "left")
    counts = [f"{getattr(status, name)} {name}" for name in names]
    parts = {"queued": status.queued, "damaged": status.damaged}
    if named := [f"{n} of them {name}" for name, n in parts.items() if n]:
        counts[-1] += f" ({', '.join(named)})"
    return f"{status.sweep}: {counted(status.n_runs, 'run')}: {', '.join(counts)}"


def _rows(status: Status) -> dict[str, list[str]]:
    """Heading -> lines; headings without a line are not shown."""
    packs = [
        f"{pack.name}: {counted(len(pack.runs), 'run')}, "
        f"epoch {pack.epoch} of {pack.n_epochs} done, {pack.owner}"
        for pack in status.packs
    ]
    return {
        **{one.what: [one.words] for one in status.ahead},
        "collapsed": [f"{status.collapsed} of {counted(status.finished, 'finished run')}"],
        "runs per hour": [_pace(status)],
        "time to the end": [_time_left(status)],
        "saved midway": _saved(status),
        "best cell so far": list(map(_cell, status.best)) or ["no run is finished"],
        "running": _shortened(packs),
        "queued": _shortened([f"{pack}: {words}" for pack, words in status.queue.items()]),
        "failed": _by_reason(status.failures),
        "damaged": _by_reason(status.damages),
        "not counted": _not_counted(status),
    }


def _pace(status: Status) -> str:
    if status.runs_per_hour is None:
        return UNKNOWN if status.packs else NOT_NOW
    return (
        f"{number(status.runs_per_hour)} (from the training of {counted(status.from_runs, 'run')})"
    )


def _time_left(status: Status) -> str:
    if status.is_over:
        return "nothing is left"
    if not status.packs and status.queue:
        return f"not known: {counted(len(status.queue), 'pack')} in the queue, none is trained now"
    if not status.packs and status.trials_under_way:
        trials = counted(status.trials_under_way, "trial")
        return f"not known: {trials} under way, no run is trained now"
    if not status.packs:
        return "nothing is trained now: the same command goes on with it"
    if status.seconds_left is None:
        return UNKNOWN
    listed = " for the runs that are listed so far" if status.ahead else ""
    return f"about {duration(status.seconds_left)}{listed}, if it goes on like this"


def _saved(status: Status) -> list[str]:
    if not status.saved:
        return []
    left = counted(status.left, "run")
    are = "that is left goes" if status.left == 1 else "that are left go"
    return [f"{status.saved} of the {left} {are} on from a checkpoint"]


def _not_counted(status: Status) -> list[str]:
    runs = counted(status.others, "other run")
    others = [f"{runs} in the folder; --all counts all of them"] if status.others else []
    return [*others, *_by_reason(status.misplaced)]


def _cell(cell: CellStatus) -> str:
    """What the cell is, its median × 100, of how many seeds, and its marks."""
    settings = ", ".join(f"{name}={value}" for name, value in cell.settings.items())
    marks = [] if cell.is_complete else ["incomplete"]
    marks += [f"{cell.n_collapsed} {COLLAPSED}"] if cell.n_collapsed else []
    said = f" ({', '.join(marks)})" if marks else ""
    return (
        f"{settings or 'the only cell'}: {cell.metric_words} {100 * cell.median:.2f}, median of "
        f"{cell.n_seeds} of {counted(cell.n_expected, 'seed')}{said}"
    )


def _by_reason(reasons: Mapping[str, str]) -> list[str]:
    """A line a reason, the most frequent first, with the runs that it holds for."""
    runs: dict[str, list[str]] = {}
    for name, reason in reasons.items():
        runs.setdefault(" ".join(reason.split()), []).append(name)
    most = sorted(runs.items(), key=lambda item: -len(item[1]))
    return _shortened(
        [
            f"{names[0]}{f' and {len(names) - 1} more' if len(names) > 1 else ''}: {reason}"
            for reason, names in most
        ]
    )


def _shortened(lines: list[str]) -> list[str]:
    if len(lines) <= MAX_LINES:
        return lines
    return [*lines[:MAX_LINES], f"and {len(lines) - MAX_LINES} more"]
