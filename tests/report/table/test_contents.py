"""Digests of bases, files and runs -> words that tell them apart."""

from typing import Any

import pandas as pd
import pytest

from lora_sweep.report.pages.cells import cells_table
from lora_sweep.report.table.collect import collect_runs
from lora_sweep.report.table.contents import distinct_words, with_contents_in_words
from lora_sweep.report.table.summarise import summarise_runs


def _own(content: str, path: str, train: str, dev: str = "dev.csv") -> dict[str, Any]:
    places = {"data.path": path, "data.train": train, "data.dev": dev}
    return {"data.name": "files", "data.task": "files", "data.content": content, **places}


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([_own("a1", "/d", "films.csv"), _own("b2", "/d", "books.tsv.gz")], ["films", "books"]),
        ([_own("a1", "/d/A", "t.csv"), _own("b2", "/d/B", "t.csv")], ["A/t", "B/t"]),
        ([_own("a1", "/d", "/x/t.csv"), _own("b2", "/d", "/y/t.csv")], ["x/t", "y/t"]),
        (
            [_own("a1", "/d", "t.csv", "old.csv"), _own("b2", "/d", "t.csv", "new.csv")],
            ["t + old", "t + new"],
        ),
        (
            [_own("a1a1a1a1", "/d", "t.csv"), _own("b2b2b2b2", "/d", "t.csv")],
            ["t + dev a1a1a1", "t + dev b2b2b2"],
        ),
        ([_own("a1", "/d", "t.csv"), _own("a1", "/e", "u.csv")], ["files", "files"]),
    ],
    ids=["files", "folders", "absolute", "dev sets", "a changed file", "one content twice"],
)
def test_own_files_have_names(rows: list[dict[str, Any]], expected: list[str]) -> None:
    table = with_contents_in_words(pd.DataFrame(rows))
    assert table["data.task"].tolist() == expected


def test_bases_and_runs_have_names() -> None:
    rows = [
        {"model.content": "a", "model.name": "minilm", "model.path": None, "init.content": "e"},
        {"model.content": "b", "model.name": "m-1.5", "model.path": "/m-1.5", "init.content": "f"},
    ]
    starts = [{"init.run": "/sweep/run-1"}, {"init.run": "/sweep/run-2"}]
    found = with_contents_in_words(
        pd.DataFrame([a | b for a, b in zip(rows, starts, strict=True)])
    )
    assert found["model.content"].tolist() == ["minilm", "m-1.5"]
    assert found["init.content"].tolist() == ["run-1", "run-2"]


def test_path_that_is_the_end_of_another_has_its_own_words() -> None:
    words = distinct_words({"1": [("a", "x")], "2": [("b", "a", "x")]})
    assert words == {"1": "a/x", "2": "b/a/x"}


def test_tasks_of_the_hub_keep_their_names_beside_files() -> None:
    cola = {"data.name": "cola", "data.task": "cola", "data.content": None}
    both = [_own("a1", "/d", "films.csv"), _own("b2", "/d", "books.csv"), cola]
    found = with_contents_in_words(pd.DataFrame(both))
    assert found["data.task"].tolist() == ["films", "books", "cola"]


def test_column_task_names_the_file_and_rows_are_ranked_within_it(
    sweep: Any, settings: Any
) -> None:
    for name, train, value in (("a", "films", 0.5), ("b", "books", 0.9), ("c", "films", 0.6)):
        own = {"lr": value, **_own(f"content of {train}", "/d", f"{train}.csv")}
        sweep.finish(name, value, settings() | own)
    table = cells_table(summarise_runs(collect_runs(sweep.path)))
    assert [(row[1], row[6]) for row in table.rows] == [
        ("films", 0.6),
        ("films", 0.5),
        ("books", 0.9),
    ]
    assert "data" not in table.columns and "data.content" not in table.columns
