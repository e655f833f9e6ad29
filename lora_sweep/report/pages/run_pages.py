"""A page a run for report.html: its numbers, settings, config, and small charts."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lora_sweep.errors import RecordError
from lora_sweep.metrics import known_value, metric_words
from lora_sweep.report.table.components import matrix_labels
from lora_sweep.report.table.sweep import Sweep
from lora_sweep.report.table.tidy import setting_names
from lora_sweep.report.text.values import plain
from lora_sweep.store.record import RESULT_FILE, RunRecord, read_result
from lora_sweep.store.run_folder import CONFIG_FILE
from lora_sweep.vocabulary import COLLAPSED, FINISHED, MISSING

MOST_PAGES = 300
"""Runs with a page of their own: more would make the file too large to open."""
_WIDTH, _HEIGHT = 560.0, 150.0
_FACTS = {
    "best_metric": "best on dev (optimistic)",
    "best_epoch": "best epoch",
    "final_metric": "final",
    "selected_metric": "at the selected epoch",
    "selected_epoch": "selected epoch",
    "collapsed": COLLAPSED,
    "wall_seconds": "seconds",
    "device": "device",
    "git_commit": "git commit",
    "fingerprint": "fingerprint",
}


@dataclass(frozen=True)
class Mark:
    """A point or bar of a chart, in its coordinates: x and y from the upper left corner."""

    x: float
    y: float
    width: float
    height: float
    said: str


@dataclass(frozen=True)
class Chart:
    """A small chart of one row of values.

    Attributes:
        title: what is seen.
        kind: `line` or `bars`.
        marks: in order along x.
        low, high: values at the bottom and the top, in words.
        first, last: what stands at the left and the right end.
    """

    title: str
    kind: str
    marks: tuple[Mark, ...]
    low: str
    high: str
    first: str
    last: str

    @property
    def points(self) -> str:
        """The line through the marks, as SVG writes it."""
        return " ".join(f"{mark.x:.1f},{mark.y:.1f}" for mark in self.marks)


@dataclass(frozen=True)
class RunPage:
    """What the page of a run shows; all text is unescaped."""

    anchor: str
    name: str
    status: str
    error: str | None
    facts: tuple[tuple[str, str], ...]
    settings: tuple[tuple[str, str], ...]
    config: str | None
    charts: tuple[Chart, ...]


def run_pages(sweep: Sweep) -> list[RunPage]:
    """Returns the pages of the runs that have started, the first 300 of them.

    Args:
        sweep: with run folders that can be read.
    """
    started = sweep.runs[sweep.runs["status"] != MISSING].head(MOST_PAGES)
    names = setting_names(sweep.runs)
    return [
        _page(sweep.folder, run, names, f"run-{i}")
        for i, run in enumerate(started.to_dict("records"), 1)
    ]


def bar_chart(title: str, values: Sequence[float], names: Sequence[str]) -> Chart:
    """Returns bars from 0, one a value (at least 0)."""
    top = max([*values, 1e-9])
    step = _WIDTH / len(values)
    marks = [
        Mark(
            x=i * step,
            y=_HEIGHT * (1 - value / top),
            width=0.85 * step,
            height=_HEIGHT * value / top,
            said=f"{name}: {value:g}",
        )
        for i, (value, name) in enumerate(zip(values, names, strict=True))
    ]
    return Chart(title, "bars", tuple(marks), "0", f"{top:g}", names[0], names[-1])


def line_chart(title: str, values: Sequence[float]) -> Chart:
    """Returns a line over the epochs, its axis from the least to the largest value."""
    low, high = min(values), max(values)
    span = (high - low) or 1.0
    step = _WIDTH / max(1, len(values) - 1)
    marks = [
        Mark(i * step, _HEIGHT * (high - value) / span, 0, 0, f"epoch {i + 1}: {value:.4g}")
        for i, value in enumerate(values)
    ]
    last = f"epoch {len(values)}"
    return Chart(title, "line", tuple(marks), f"{low:.4g}", f"{high:.4g}", "epoch 1", last)


def _page(folder: Path, run: dict[Any, Any], names: list[str], anchor: str) -> RunPage:
    record = _record(folder / run["folder"]) if run["status"] == FINISHED else None
    return RunPage(
        anchor=anchor,
        name=run["folder"],
        status=run["status"],
        error=None if plain(run["error"]) is None else str(run["error"]),
        facts=tuple(_facts(run)),
        settings=tuple((n, _said(plain(run[n]))) for n in names if plain(run[n]) is not None),
        config=_config(folder / run["folder"]),
        charts=() if record is None else tuple(_charts(record)),
    )


def _facts(run: dict[Any, Any]) -> Iterator[tuple[str, str]]:
    for name, words in _FACTS.items():
        value = plain(run[name])
        if isinstance(value, float) and name.endswith("_metric"):
            yield f"{run['metric_words']} × 100, {words}", f"{100 * value:z.2f}"
        elif value is not None:
            yield words, f"{value:.0f}" if isinstance(value, float) else str(value)


def _charts(record: RunRecord) -> list[Chart]:
    metric = [100 * known_value(epoch.metrics, record.metric) for epoch in record.epochs]
    at = record.reported_evaluation
    charts = [
        line_chart(f"{metric_words(record.metric, record.label_names)} × 100", metric),
        line_chart("training loss", [epoch.train_loss for epoch in record.epochs]),
    ]
    if record.matrices:
        title = f"ranks at epoch {at.epoch}, by layer and component"
        charts.append(bar_chart(title, at.integer_ranks, matrix_labels(record.matrices)))
    return charts


def _record(folder: Path) -> RunRecord | None:
    try:
        return read_result(folder / RESULT_FILE)
    except RecordError:  # changed since it was collected: the page shows what was
        return None


def _config(folder: Path) -> str | None:
    path = folder / CONFIG_FILE
    return path.read_text(encoding="utf-8", errors="replace") if path.is_file() else None


def _said(value: object) -> str:
    return f"{value:.12g}" if isinstance(value, float) else str(value)
