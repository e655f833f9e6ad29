"""All pictures of a sweep, as SVG and PNG in its folder."""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from PIL import Image

from lora_sweep.errors import RecordError
from lora_sweep.files import write_whole
from lora_sweep.report.figures.fonts import make_readable
from lora_sweep.report.figures.method import (
    draw_distribution,
    draw_masks,
    draw_profiles,
    method_masks,
)
from lora_sweep.report.figures.parameters import draw_parameters, has_counts
from lora_sweep.report.figures.picture import (
    CELLS,
    COMPARISON,
    FOLDER,
    METHOD,
    RANK_CURVES,
    RANKS,
    SEARCH,
    Picture,
)
from lora_sweep.report.figures.rank_curves import draw_rank_curves
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
from lora_sweep.report.figures.search import search_figures
from lora_sweep.report.figures.style import init_label, name_group
from lora_sweep.report.table.courses import Course, read_first_steps
from lora_sweep.report.table.groups import group_runs
from lora_sweep.report.table.rank_curves import rank_curves
from lora_sweep.report.table.summarise import init_place, summarise_runs
from lora_sweep.report.table.sweep import Sweep
from lora_sweep.report.table.tidy import learns_ranks
from lora_sweep.store.record import RESULT_FILE, RunRecord, read_result
from lora_sweep.vocabulary import FINISHED, FIXED

_DPI = 120
Drawn = Iterator[tuple[Picture, Figure]]

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Group:
    """What is drawn: the finished runs of one group; it is named where there are several."""

    folder: Path
    name: str | None
    prefix: str
    metric: str
    runs: pd.DataFrame
    summary: pd.DataFrame
    courses: Mapping[str, Course]

    def picture(self, name: str, title: str, section: str) -> Picture:
        """A picture of this group."""
        where = "" if self.name is None else f" ({self.name})"
        return Picture(f"{self.prefix}{name}", f"{title}{where}", section)


def write_figures(sweep: Sweep) -> list[Picture]:
    """Writes `figures/NAME.svg` and `.png` and returns the pictures, in the report's order."""
    pictures = []
    with mpl.rc_context({"svg.hashsalt": "lora_sweep", "text.parse_math": False}):
        for picture, figure in _draw_sweep(sweep):
            (sweep.folder / FOLDER).mkdir(exist_ok=True)
            _save(figure, sweep.folder / FOLDER / picture.name)
            pictures.append(picture)
    return pictures


def _draw_sweep(sweep: Sweep) -> Drawn:
    if sweep.search is not None:
        for name, title, figure in search_figures(sweep.search):
            yield Picture(name, title, SEARCH), figure
    for group in _groups(sweep):
        for picture, figure in _draw_all(group):
            if group.name is not None:
                name_group(figure, group.name)
            yield picture, figure


def _groups(sweep: Sweep) -> Iterator[_Group]:
    known = group_runs(sweep.runs[sweep.runs["seed"].notna()], also=("sweep",))
    finished = {name: runs[runs["status"] == FINISHED] for name, runs in known.items()}
    groups = {name: runs for name, runs in finished.items() if not runs.empty}
    for i, (name, runs) in enumerate(groups.items(), 1):
        yield _Group(
            folder=sweep.folder,
            name=name if len(groups) > 1 else None,
            prefix=f"{i}_" if len(groups) > 1 else "",
            metric=str(runs["metric_words"].iloc[0]),
            runs=runs,
            summary=summarise_runs(runs),
            courses=sweep.courses,
        )


def _draw_all(group: _Group) -> Drawn:
    learnt = group.summary[group.summary["init"] != FIXED]
    for init in dict.fromkeys(learnt["init"]):
        yield from _of_init(group, init)
    if learnt.empty:
        return
    yield from _of_comparison(group)
    yield from _of_rank_curves(group)
    chosen = group.runs["init"].map(learns_ranks)
    best = _best_run(group, chosen) if chosen.any() else None
    if best is not None:
        yield from _of_ranks(group, *best)
        yield from _of_method(group, best[1])


def _of_init(group: _Group, init: str) -> Drawn:
    """The study's three pictures of an init, and its learning curves."""
    words, file = init_label(init), _file_name(init)
    bands = baseline_bands(group.summary)
    picture = group.picture(f"{file}_runs", f"{words}: every run, best first", init)
    yield picture, draw_runs(group.runs, init, bands, group.metric)
    best = _best_run(group, group.runs["init"] == init) if learns_ranks(init) else None
    if best is not None:
        _, record = best
        title = f"{words}: ranks of the best run at epoch {record.reported_epoch}"
        yield group.picture(f"{file}_ranks", title, init), draw_rank_bars(record, title)
        title = f"{title}, by component"
        yield group.picture(f"{file}_layers", title, init), draw_rank_lines(record, title)
    curves = draw_curves(group.summary, group.courses, init, group.metric)
    if curves is not None:
        yield group.picture(f"{file}_curves", f"{words}: learning curves", init), curves


def _of_comparison(group: _Group) -> Drawn:
    picture = group.picture("comparison", "Each init's best cell and the baselines", COMPARISON)
    bands = baseline_bands(group.summary)
    yield picture, draw_comparison(group.summary, bands, group.metric)
    if has_counts(group.summary):
        picture = group.picture("parameters", "The metric over trained parameters", COMPARISON)
        yield picture, draw_parameters(group.summary, group.metric)
    medians = draw_medians(group.summary, group.metric)
    if medians is not None:
        title = "Medians by init and learning rate"
        yield group.picture("medians", title, CELLS), medians


def _of_rank_curves(group: _Group) -> Drawn:
    curves = rank_curves(group.summary, group.courses)
    if not curves.empty:
        picture = group.picture("rank_curves", "The metric over the rank", RANK_CURVES)
        yield picture, draw_rank_curves(curves, group.metric)


def _of_ranks(group: _Group, folder: Path, record: RunRecord) -> Drawn:
    """How the best learnt run's ranks came about."""
    whose = f"best run ({init_label(str(record.settings['init']))})"
    title = f"Ranks of the {whose} over the epochs"
    yield group.picture("rank_map", title, RANKS), draw_rank_map(record, title)
    steps = read_first_steps(folder, len(record.matrices))
    if len(steps) > 1:
        title = f"Ranks of the {whose} over the first steps"
        yield group.picture("first_steps", title, RANKS), draw_first_steps(steps, title)
    title = f"Rank budget of the {whose}"
    yield group.picture("budget", title, RANKS), draw_budget(record, title)


def _of_method(group: _Group, record: RunRecord) -> Drawn:
    """The study's notebook: init profiles, p(k), masks."""
    starts = _starts(group)
    if starts:
        title = "Ranks that each init starts with (its first run)"
        yield group.picture("profiles", title, METHOD), draw_profiles(starts, title)
    names = ("rank.average", "rank.min", "rank.max", "alpha.min", "alpha.max")
    if any(record.settings.get(name) is None for name in names):
        return
    average, low, high, first, last = (record.settings[name] for name in names)
    rank = min(float(average) + 0.3, float(high))  # between two integers, as most ranks are
    alphas = [float(f"{alpha:.3g}") for alpha in np.linspace(first, last, 4)]
    masks, discrete = method_masks(rank, alphas, rank_min=low, rank_max=high)
    title = f"Distribution p(k) of a matrix with rank {rank:.1f}"
    yield group.picture("distribution", title, METHOD), draw_distribution(masks, rank, title)
    title = f"Masks over R of a matrix with rank {rank:.1f}"
    yield group.picture("masks", title, METHOD), draw_masks(masks, discrete, title)


def _starts(group: _Group) -> dict[str, Sequence[float]]:
    """Init -> ranks at the start of its first run."""
    starts: dict[str, Sequence[float]] = {}
    learnt = group.runs[group.runs["init"].map(learns_ranks)]
    for init, folder in zip(learnt["init"], learnt["folder"], strict=True):
        ranks = group.courses[folder].start_ranks
        if ranks is not None:
            starts.setdefault(init, ranks.tolist())
    return {init: starts[init] for init in sorted(starts, key=init_place)}


def _best_run(group: _Group, is_candidate: "pd.Series[bool]") -> tuple[Path, RunRecord] | None:
    """Folder and record of the run with the highest metric; None if it has gone meanwhile."""
    best = group.runs[is_candidate].sort_values("reported_metric", kind="stable").tail(1)
    folder = group.folder / str(best["folder"].iloc[0])
    try:
        return folder, read_result(folder / RESULT_FILE)
    except RecordError as error:
        _log.warning("pictures of the best run are left out: %s", error)
        return None


def _save(figure: Figure, path: Path) -> None:
    """Both forms, each whole or not at all; the same picture gives the same bytes."""
    make_readable(figure)
    figure.set_dpi(_DPI)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()  # type: ignore[no-untyped-call]
    figure.set_layout_engine("none")  # laid out once, not again for the other form
    drawn = np.asarray(canvas.buffer_rgba())  # type: ignore[no-untyped-call]
    pixels = Image.fromarray(drawn).convert("RGB")
    write_whole(path.with_suffix(".png"), lambda file: pixels.save(file, dpi=(_DPI, _DPI)))
    # `savefig` would draw once more to lay out what is laid out.
    print_svg: Callable[..., None] = FigureCanvasSVG(figure).print_svg
    write_whole(path.with_suffix(".svg"), lambda file: print_svg(file, metadata={"Date": None}))


def _file_name(init: str) -> str:
    """An init's name as part of a file name: nothing but letters, digits and `_`."""
    return "".join(c if c.isascii() and c.isalnum() else "_" for c in init)
