"""The table of really trained runs that searches are replayed on: `bench/search_table.csv`.

A line a setting, seed and epoch. Made from the sweep `search_table`, see `bench.search`.
"""

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lora_sweep.store.record import RESULT_FILE, read_result

TABLE = Path(__file__).parent / "search_table.csv"
SETTINGS = ("rank.average", "rank.max", "lr", "learning_rate.adapter")
COLUMNS = (*SETTINGS, "seed", "epoch", "metric")
Key = tuple[float, ...]
Curves = dict[Key, NDArray[np.float64]]


@dataclass(frozen=True)
class Trained:
    """Settings and how their runs went.

    Attributes:
        curves: values of `SETTINGS` -> metric that would be reported if the run ended after an
            epoch, the best one so far: (n_seeds, n_epochs), 0 to 1.
    """

    curves: Curves

    @property
    def n_seeds(self) -> int:
        """Runs of a setting."""
        return self._shape[0]

    @property
    def n_epochs(self) -> int:
        """Of every run."""
        return self._shape[1]

    @property
    def _shape(self) -> tuple[int, int]:
        n_seeds, n_epochs = next(iter(self.curves.values())).shape
        return n_seeds, n_epochs

    def levels(self, setting: int) -> list[float]:
        """Returns the values of one setting, ascending.

        Args:
            setting: its place in `SETTINGS`.
        """
        return sorted({key[setting] for key in self.curves})

    def nearest(self, params: Mapping[str, Any]) -> Key:
        """Returns the trained setting that is nearest by ratio, setting by setting."""
        key = []
        for place, name in enumerate(SETTINGS):
            ratios = {level: abs(np.log(params[name] / level)) for level in self.levels(place)}
            key.append(min(ratios, key=ratios.__getitem__))
        return tuple(key)

    def value(self, key: Key) -> float:
        """Returns what a trial of a setting finds: the median over its seeds after all epochs."""
        return float(np.median(self.curves[key][:, -1]))

    def best(self) -> float:
        """Returns the value of the best setting."""
        return max(map(self.value, self.curves))


def collect(sweep_dir: Path, table: Path = TABLE) -> int:
    """Writes the table from the finished runs of a sweep, and returns how many those are."""
    rows = []
    records = [read_result(path) for path in sorted(sweep_dir.glob(f"*/{RESULT_FILE}"))]
    for record in records:
        own = [record.settings[name] for name in (*SETTINGS, "seed")]
        rows += [(*own, one.epoch, round(one.metrics[record.metric], 6)) for one in record.epochs]
    with table.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows(sorted(rows))
    return len(records)


def read_table(table: Path = TABLE) -> Trained:
    """Returns the table.

    Raises:
        ValueError: a setting lacks a run or an epoch that others have.
    """
    runs: dict[Key, dict[int, list[float]]] = {}
    with table.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):  # in the order of settings, seeds and epochs
            key = tuple(float(row[name]) for name in SETTINGS)
            runs.setdefault(key, {}).setdefault(int(row["seed"]), []).append(float(row["metric"]))
    shapes = {key: [len(curve) for curve in own.values()] for key, own in runs.items()}
    if len({tuple(shape) for shape in shapes.values()}) != 1:
        raise ValueError(f"{table} must hold the same seeds and epochs of all, but got {shapes}")
    return Trained(
        {key: np.maximum.accumulate(list(own.values()), axis=1) for key, own in runs.items()}
    )
