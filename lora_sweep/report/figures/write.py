"""All pictures of a sweep, as SVG and PNG in its folder."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import matplotlib as mpl
import pandas as pd
from matplotlib.figure import Figure

from lora_sweep.errors import RecordError
from lora_sweep.report.collect import FINISHED
from lora_sweep.report.figures.ranks import (
    draw_budget,
    draw_first_steps,
    draw_rank_bars,
    draw_rank_lines,
    draw_rank_map,
)
from lora_sweep.report.figures.scores import (
    baseline_bands,
    draw_comparison,
    draw_curves,
    draw_medians,
    draw_runs,
)
from lora_sweep.report.summarise import FIXED, init_place
from lora_sweep.report.tables import init_words
from lora_sweep.runs.record import RESULT_FILE, RunRecord, read_result
from lora_sweep.runs.store import HISTORY_FILE, write_whole

FOLDER = "figures"
_DPI = 150


@dataclass(frozen=True)
class Picture:
    """A picture of a report.

    Attributes:
        name: of its files, without ending.
        title: what is seen.
        init: whose it is; None for one of the whole sweep.
    """

    name: str
    title: str
    init: str | None


def read_records(sweep_dir: Path, runs: pd.DataFrame) -> dict[str, RunRecord]:
    """Returns folder name -> record of the finished runs that can be read.

    Args:
        sweep_dir: the folder that the run folders lie in.
        runs: as from `collect_runs`.
    """
    records = {}
    for folder in runs.loc[runs["status"] == FINISHED, "folder"]:
        try:
            records[folder] = read_result(sweep_dir / folder / RESULT_FILE)
        except (RecordError, OSError):  # the table of runs has named it
            continue
    return records


def write_figures(sweep_dir: Path, runs: pd.DataFrame, summary: pd.DataFrame) -> list[Picture]:
    """Writes `figures/NAME.svg` and `.png` and returns the pictures, in the report's order.

    Args:
        sweep_dir: the sweep's folder.
        runs: as from `collect_runs`.
        summary: as from `summarise_runs`.
    """
    records = read_records(sweep_dir, runs)
    if not records:
        return []
    (sweep_dir / FOLDER).mkdir(exist_ok=True)
    pictures = []
    for picture, figure in _draw_all(sweep_dir, runs, summary, records):
        _save(figure, sweep_dir / FOLDER / picture.name)
        pictures.append(picture)
    return pictures


def _draw_all(
    sweep_dir: Path, runs: pd.DataFrame, summary: pd.DataFrame, records: Mapping[str, RunRecord]
) -> Iterator[tuple[Picture, Figure]]:
    metric = next(iter(records.values())).metric
    learnt = summary[(summary["init"] != FIXED) & (summary["n_seeds"] > 0)]
    for init in sorted(set(learnt["init"]), key=init_place):
        yield from _of_init(runs, summary, records, init, metric)
    yield from _of_sweep(sweep_dir, runs, summary, records, metric)


def _of_init(
    runs: pd.DataFrame,
    summary: pd.DataFrame,
    records: Mapping[str, RunRecord],
    init: str,
    metric: str,
) -> Iterator[tuple[Picture, Figure]]:
    """The study's three pictures of an init, and its learning curves."""
    words, file = init_words(init), _file_name(init)
    bands = baseline_bands(summary)
    yield (
        Picture(f"{file}_runs", f"{words}: every run", init),
        draw_runs(runs, init, bands, metric),
    )
    record = records.get(_best_folder(runs[runs["init"] == init]) or "")
    if record is not None:
        title = f"{words}: ranks of the best run at epoch {record.reported_epoch}"
        yield Picture(f"{file}_ranks", title, init), draw_rank_bars(record, title)
        by_layer = f"{title}, by component"
        yield Picture(f"{file}_layers", by_layer, init), draw_rank_lines(record, by_layer)
    curves = draw_curves(summary, records, init, metric)
    if curves is not None:
        yield Picture(f"{file}_curves", f"{words}: learning curves", init), curves


def _of_sweep(
    sweep_dir: Path,
    runs: pd.DataFrame,
    summary: pd.DataFrame,
    records: Mapping[str, RunRecord],
    metric: str,
) -> Iterator[tuple[Picture, Figure]]:
    """The comparison of the inits, and how the best learnt run's ranks came about."""
    medians = draw_medians(summary, metric)
    if medians is None:
        return
    title = "Each init's best cell over the baselines"
    yield (
        Picture("comparison", title, None),
        draw_comparison(summary, baseline_bands(summary), metric),
    )
    yield Picture("medians", "Medians by init and learning rate", None), medians
    best = _best_folder(runs[runs["init"] != FIXED])
    record = records.get(best or "")
    if best is None or record is None:
        return
    whose = f"best run ({init_words(str(record.settings['init']))})"
    title = f"Ranks of the {whose} over the epochs"
    yield Picture("rank_map", title, None), draw_rank_map(record, title)
    steps = _first_steps(sweep_dir / best)
    if len(steps) > 1:
        title = f"Ranks of the {whose} over the first steps"
        yield Picture("first_steps", title, None), draw_first_steps(steps, title)
    title = f"Rank budget of the {whose}"
    yield Picture("budget", title, None), draw_budget(record, title)


def _best_folder(runs: pd.DataFrame) -> str | None:
    finished = runs[runs["status"] == FINISHED]
    if finished.empty:
        return None
    place = int(finished["reported_metric"].to_numpy(float).argmax())
    return str(finished["folder"].iloc[place])


def _first_steps(folder: Path) -> list[tuple[int, list[float]]]:
    """The history's records of ranks within the first epochs; lines cut off are left out."""
    path = folder / HISTORY_FILE
    if not path.exists():
        return []
    steps = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        if entry.get("kind") == "ranks":
            steps.append((int(entry["step"]), [float(rank) for rank in entry["ranks"]]))
    return steps


def _save(figure: Figure, path: Path) -> None:
    """Both forms, each whole or not at all; the same picture gives the same bytes."""
    figure.draw_without_rendering()
    figure.set_layout_engine("none")  # laid out once, not again for each form
    with mpl.rc_context({"svg.hashsalt": "lora_sweep"}):
        write_whole(
            path.with_suffix(".svg"),
            lambda file: figure.savefig(file, format="svg", metadata={"Date": None}),
        )
    write_whole(
        path.with_suffix(".png"),
        lambda file: figure.savefig(file, format="png", dpi=_DPI, metadata={"Software": None}),
    )


def _file_name(init: str) -> str:
    """An init's name as part of a file name: nothing but letters, digits and `_`."""
    return "".join(c if c.isascii() and c.isalnum() else "_" for c in init)
