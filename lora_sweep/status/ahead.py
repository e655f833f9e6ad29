"""What a search or a resolve has still to ask for: runs that no list names yet.

A search lists the runs of a trial when the trial begins, and a resolve those of a look when the
look before has been made. So the runs that are listed may all be done long before the end.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lora_sweep.store.claims import live_claims
from lora_sweep.store.looks_made import read_made
from lora_sweep.store.search_record import TRIALS, read_search
from lora_sweep.store.sweep_list import read_asked
from lora_sweep.vocabulary import FAILED, FINISHED, PRUNED, RESOLVE


@dataclass(frozen=True)
class Ahead:
    """A search or a resolve that is not over.

    Attributes:
        what: which of both.
        words: how far it is.
        command: that goes on with it.
        under_way: trials that living processes have claimed; none of a resolve.
    """

    what: str
    words: str
    command: str
    under_way: int


def work_ahead(sweep_dir: Path, commands: Sequence[str]) -> list[Ahead]:
    """Returns what commands have still to ask for; nothing for sweeps whose runs are all listed.

    Args:
        sweep_dir: folder of the sweep.
        commands: that are meant, the one given last at the end.

    Raises:
        RecordError: the list of runs, the search's record or the note of looks can't be read.
    """
    return [*_search(sweep_dir, commands), *_resolve(sweep_dir, commands)]


def _search(sweep_dir: Path, commands: Sequence[str]) -> list[Ahead]:
    record = read_search(sweep_dir)
    if record is None or record.is_over:
        return []
    runs = {name for trial in record.trials for name in trial.folders}
    own = [one for one in commands if runs & (read_asked(sweep_dir, one) or {}).keys()]
    if not own:  # it is another command's
        return []
    n_there = sum(trial.status in (FINISHED, FAILED, PRUNED) for trial in record.trials)
    words = f"{n_there} of {record.n_trials} trials are there"
    if n_there >= record.n_trials:
        words = f"all {n_there} trials are there, the best ones on fresh seeds are not"
    return [Ahead("search", words, own[-1], len(live_claims(sweep_dir / TRIALS)))]


def _resolve(sweep_dir: Path, commands: Sequence[str]) -> list[Ahead]:
    own = [one for one in commands if RESOLVE in one.split()]
    if not own:
        return []
    made = read_made(sweep_dir)
    if made.is_over:
        return []
    words = f"the look at {made.seeds} seeds is made, more follow" if made.seeds else "no look yet"
    return [Ahead("resolve", words, own[-1], 0)]
