"""Bases, files and runs to start from, in words: cells hold digests of them, which say nothing.

Where runs have several of one kind, each is called by the end of its path: as much of it as tells
them apart. Two at one place, as a file that was changed meanwhile, have their digest beside it.
"""

from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import Any

import pandas as pd

_PLACES: dict[str, tuple[tuple[str, ...], ...]] = {
    # digest -> the paths that say which one it is, each in the settings that make it up
    "data.content": (("data.path", "data.train"), ("data.path", "data.dev")),
    "model.content": (("model.path",), ("model.name",)),
    "model.adapter_content": (("model.adapter",),),
    "init.content": (("init.run",),),
}
_FILES = ("data.train", "data.dev")
_SHOWN_DIGITS = 6
Parts = tuple[str, ...]
"""Of a path."""


def with_contents_in_words(table: pd.DataFrame) -> pd.DataFrame:
    """Returns the tidy table with words for the digests of which there are several.

    Own files of one task have their words in `data.task` too, which stands in every table.

    Args:
        table: a row a run, with its settings.
    """
    for column in _PLACES:
        if column in table.columns and table[column].nunique() > 1:
            table = _with_words(table, column)
    return table


def _with_words(table: pd.DataFrame, column: str) -> pd.DataFrame:
    rows = table.dropna(subset=[column]).drop_duplicates(column).to_dict("records")
    words = distinct_words({str(row[column]): _paths(column, row) for row in rows})
    named = table.assign(**{column: table[column].map(words).astype("str")})
    if column != "data.content" or "data.task" not in table.columns:
        return named
    n_contents = table.groupby("data.task", dropna=False)[column].transform("nunique")
    return named.assign(**{"data.task": table["data.task"].mask(n_contents > 1, named[column])})


def distinct_words(paths: Mapping[str, Sequence[Parts]]) -> dict[str, str]:
    """Returns digest -> words that no other has.

    The fewest last parts of the first path; where that is another's too, the next path's words
    behind it; at last a part of the digest.

    Args:
        paths: digest -> its paths, in parts.
    """
    words = {}
    for digest, (first, *rest) in paths.items():
        alike = {d: own[1:] for d, own in paths.items() if own[0] == first}
        others = [own[0] for own in paths.values() if own[0] != first]
        said = _fewest(first, others)
        if len(alike) > 1 and rest:
            said = f"{said} + {distinct_words(alike)[digest]}"
        elif len(alike) > 1:
            said = f"{said} {digest[:_SHOWN_DIGITS]}".strip()
        words[digest] = said
    return words


def _fewest(path: Parts, others: Sequence[Parts]) -> str:
    """The fewest last parts of a path that no other path ends in; all where there are none."""
    lengths = range(1, len(path))
    n = next((n for n in lengths if all(other[-n:] != path[-n:] for other in others)), len(path))
    return "/".join(path[-n:])


def _paths(column: str, row: Mapping[Any, Any]) -> list[Parts]:
    """The paths of a run; those that it does not have are left out, but for one."""
    found = [_parts([(name, row.get(name)) for name in names]) for names in _PLACES[column]]
    known = [parts for parts in found if parts]
    return known[:1] if column == "model.content" and known else known or [()]


def _parts(values: Sequence[tuple[str, Any]]) -> Parts:
    """A path in parts, a file without its ending."""
    known = [(name, str(value)) for name, value in values if not pd.isna(value)]
    if not known:
        return ()
    path = PurePath(*(value for _, value in known))
    is_file = known[-1][0] in _FILES
    last = path.name.split(".")[0] or path.name if is_file else path.name
    return (*(part for part in path.parts[:-1] if part != path.anchor), last)
