"""Where a sweep's numbers come from: every run with its files, what is mixed, how to repeat it."""

import re
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

import pandas as pd

from lora_sweep.report.table.labels import init_words
from lora_sweep.report.text.markdown import to_markdown
from lora_sweep.report.text.table import Table
from lora_sweep.report.text.values import Value, escape_markdown, plain
from lora_sweep.store.run_folder import CONFIG_FILE, LOG_FILE
from lora_sweep.vocabulary import COLLAPSED, FINISHED, FIXED
from lora_sweep.words import pasteable

MOST_LISTED = 300
"""Runs that report.md lists; runs.csv has them all."""
_MIXED = {
    "git_commit": "code versions",
    "model_fingerprint": "base models",
    "corpus_fingerprint": "corpora",
    "device": "devices",
    "metric_words": "metrics",
}
_MANY_ARE_FINE = {
    "model_fingerprint": ("model.",),
    "corpus_fingerprint": ("data.",),
    "metric_words": ("data.",),
}
"""What may differ where these settings do."""


def flags(runs: pd.DataFrame, summary: pd.DataFrame) -> list[str]:
    """Returns a sentence for everything that a reader should know of before trusting a table.

    Args:
        runs: as from `collect_runs`.
        summary: as from `summarise_runs`.
    """
    finished = runs[runs["status"] == FINISHED]
    return [*_shared(finished), *_identical(summary, finished), *_mixed(finished)]


def provenance_section(
    runs: pd.DataFrame, summary: pd.DataFrame, commands: Sequence[str]
) -> list[str]:
    """Returns paragraphs of Markdown: flags, commands, and every finished run with its files.

    Args:
        runs: as from `collect_runs`.
        summary: as from `summarise_runs`.
        commands: command lines that the sweep was started with.
    """
    parts = ["## Where the numbers come from"]
    found = flags(runs, summary)
    parts.append("\n".join(f"- {flag}" for flag in found) if found else "Nothing is mixed.")
    if commands:
        lines = "\n".join(map(pasteable, commands))
        longest = max(map(len, re.findall("`+", lines)), default=0)
        fence = "`" * max(3, longest + 1)  # no command may end the block of code
        parts += ["Started with, and repeated by:", f"{fence}sh\n{lines}\n{fence}"]
    finished = runs[runs["status"] == FINISHED]
    if len(finished) > MOST_LISTED:
        parts.append(f"The {len(finished)} finished runs are listed in runs.csv.")
    elif len(finished):
        parts.append(_run_table(_by_cell(finished, summary)))
    return parts


def _shared(finished: pd.DataFrame) -> list[str]:
    known = finished[finished["fingerprint"].notna()]
    repeated = known[known["fingerprint"].duplicated(keep=False)]
    return [
        f"One run stands in {len(own)} folders and is counted as often: {_names(own['folder'])}."
        for _, own in repeated.groupby("fingerprint", sort=False)
    ]


def _identical(summary: pd.DataFrame, finished: pd.DataFrame) -> list[str]:
    """Cells whose runs have the very same values: seldom a coincidence."""
    value_of = dict(zip(finished["folder"], finished["reported_metric"], strict=True))
    cells: dict[tuple[float, ...], list[str]] = {}
    for folders in summary["folders"]:
        values = tuple(value_of[folder] for folder in folders)
        if len(set(values)) > 1:
            cells.setdefault(values, []).append(folders[0])
    return [
        f"Cells with the same value for every seed: those of {_names(same)}."
        for same in cells.values()
        if len(same) > 1
    ]


def _mixed(finished: pd.DataFrame) -> list[str]:
    found = []
    for column, what in _MIXED.items():
        n = _n_in_one_table(finished, column)
        if n > 1:
            counts = finished[column].fillna("unknown").value_counts()
            each = ", ".join(f"{escape_markdown(str(v))[:24]} ({k})" for v, k in counts.items())
            found.append(f"Mixed {what}, {n} in one table: {each}.")
    return found


def _n_in_one_table(finished: pd.DataFrame, column: str) -> int:
    """How many values stand where one should: in all runs, or in those that may not differ."""
    prefixes = _MANY_ARE_FINE.get(column, ())
    names = [name for name in finished.columns if prefixes and str(name).startswith(prefixes)]
    if finished.empty or not names:
        return finished[column].nunique(dropna=False)
    return int(finished.groupby(names, dropna=False)[column].nunique(dropna=False).max())


def _by_cell(finished: pd.DataFrame, summary: pd.DataFrame) -> pd.DataFrame:
    """The runs in the order of the tables' cells."""
    order = [folder for folders in summary["folders"] for folder in folders]
    return finished.set_index("folder", drop=False).loc[order]


def _run_table(finished: pd.DataFrame) -> str:
    rows = tuple(_run_row(run) for run in finished.to_dict("records"))
    best, final = "Best (epoch)", "Final"
    headers = ("Run", "Init", "LR", "Seed", best, final, "Selected", "Files")
    table = Table("Finished runs", headers, rows, kept=(best, final, "Files"))
    return to_markdown(table, is_escaped=True)


def _run_row(run: dict[Any, Any]) -> tuple[Value, ...]:
    folder = str(run["folder"])
    lr = plain(run.get("lr"))
    selected = run["selected_metric"]
    return (
        escape_markdown(folder) + (f" ({COLLAPSED})" if run["collapsed"] is True else ""),
        "Fixed" if run["init"] == FIXED else escape_markdown(init_words(str(run["init"]))),
        None if lr is None else f"{lr}",
        str(run["seed"]),
        f"{_percent(run['best_metric'])} ({run['best_epoch']})",
        _percent(run["final_metric"]),
        None if pd.isna(selected) else _percent(selected),
        f"[config]({quote(folder)}/{CONFIG_FILE}) [log]({quote(folder)}/{LOG_FILE})",
    )


def _percent(metric: float) -> str:
    return f"{100 * metric:z.2f}"


def _names(folders: "Sequence[str] | pd.Series[str]") -> str:
    names = [escape_markdown(str(folder)) for folder in folders]
    shown = ", ".join(names[:5])
    return shown if len(names) <= 5 else f"{shown} and {len(names) - 5} more"
