"""The columns of the tidy table: their types, what their values must be, and the table itself."""

import json
import math
from collections.abc import Iterator
from typing import Any

import pandas as pd

from lora_sweep.adapters.kind import adapter_kinds
from lora_sweep.allocation.mode import modes_without_logits
from lora_sweep.errors import RecordError
from lora_sweep.report.table.contents import with_contents_in_words
from lora_sweep.rules import MOST_SEED
from lora_sweep.vocabulary import FIXED, FROZEN, LORA_XS, SPELLED, UNSAID

KIND = "adapter.kind"
"""The setting that says what is trained of the base; not there where all runs are LoRA-XS's."""
_OF_A_KIND = (
    *("learning_rate.", "model.lora_alpha", "model.adapter_dropout", "model.adapted"),
    "model.factors",
)
KIND_LABELS = {name: kind.label for name, kind in adapter_kinds().items()}
_BASELINES = (FIXED, *(kind.label for kind in adapter_kinds().values() if kind.learns_ranks))
_NUMBERS = ("lr", "rank.", "alpha.min", "alpha.max", "budget.start", "budget.end")
COLUMNS = {
    "folder": "str",
    "status": "str",
    "reported_metric": "float64",
    "reported_epoch": "Int64",
    "best_metric": "float64",
    "best_epoch": "Int64",
    "final_metric": "float64",
    "selected_metric": "float64",
    "selected_epoch": "Int64",
    "collapsed": "boolean",
    "spent_average": "float64",
    "n_trained_without_head": "Int64",
    "metric": "str",
    "metric_words": "str",
    "fingerprint": "str",
    "model_fingerprint": "str",
    "corpus_fingerprint": "str",
    "wall_seconds": "float64",
    "device": "str",
    "git_commit": "str",
    "error": "str",
}


def checked_settings(settings: object) -> dict[str, Any]:
    """Returns the settings if they can be those of a run: without a seed there is no cell.

    Raises:
        RecordError: they can't.
    """
    if not isinstance(settings, dict):
        raise RecordError(f"settings must be a JSON object, but got {type(settings).__name__}")
    for name, kind in (("init", str), ("seed", int)):
        value = settings.get(name)
        if not isinstance(value, kind) or isinstance(value, bool):
            raise RecordError(f"setting {name} must be of type {kind.__name__}, but got {value!r}")
    for name, value in settings.items():
        if name.startswith(_NUMBERS) and not isinstance(value, int | float | None):
            raise RecordError(f"setting {name} must be a number or null, but got {_shown(value)}")
    reserved = sorted(set(settings) & set(COLUMNS))
    if reserved:
        raise RecordError(f"settings must not be named as the record's own: {reserved[0]}")
    return checked_row(settings)


def checked_row(row: dict[str, Any]) -> dict[str, Any]:
    """Returns the row if a table can hold its values, and files its texts.

    Raises:
        RecordError: it can't hold one: a number beyond 64 bits or not finite, or half a character.
    """
    for name, value in row.items():
        for one in (name, *_values(value)):
            rule = _broken_rule(one)
            if rule is not None:
                raise RecordError(f"{_shown(name)} must be {rule}, but got {_shown(one)}")
    return row


def _values(value: Any) -> Iterator[Any]:
    """A value itself, or all that stand in a list or an object."""
    if isinstance(value, dict):
        for name, own in value.items():
            yield name
            yield from _values(own)
    elif isinstance(value, list):
        for own in value:
            yield from _values(own)
    else:
        yield value


def _broken_rule(value: Any) -> str | None:
    if isinstance(value, int) and abs(value) > MOST_SEED:
        return "within 64 bits"
    if isinstance(value, float) and not math.isfinite(value):
        return "finite"
    if isinstance(value, str) and any("\ud800" <= char <= "\udfff" for char in value):
        return "text that a file can hold"
    return None


def _shown(value: Any) -> str:
    """A value in a message, which may be printed anywhere."""
    text = str(value).encode("utf-8", "backslashreplace").decode()
    return text if len(text) <= 60 else f"{text[:60]}..."


def to_table(rows: list[dict[str, Any]]) -> pd.DataFrame:
    """Returns the rows as a table with typed columns: folder, status, settings, the record's.

    Where runs with logits allocate in several ways, `init` says which, `uniform, soft_topk`: what
    is compared as one must be allocated in one way. Runs of other adapters than LoRA-XS have these
    for an init, `LoRA`. Where there are several bases or corpora in
    files, words stand for their digests. What a run leaves unsaid, for it is the method's own, is
    said where another run's is not.
    """
    names = dict.fromkeys(["init", "seed"])
    names |= dict.fromkeys(name for row in rows for name in row)
    settings = [name for name in names if name not in COLUMNS]
    own = tuple(COLUMNS)
    columns = {}
    for name in (*own[:2], *settings, *own[2:]):
        values = [row.get(name, UNSAID.get(name)) for row in rows]
        columns[name] = _own(name, values) if name in COLUMNS else _typed(name, values)
    return with_contents_in_words(_with_kinds(_with_modes(pd.DataFrame(columns))))


def has_logits(table: pd.DataFrame) -> "pd.Series[bool]":
    """Returns of every row of the tidy table whether its run's ranks follow trained logits."""
    init = table["init"]
    return ~(
        init.isin((FIXED, *modes_without_logits(), *KIND_LABELS.values()))
        | init.str.endswith(FROZEN)
    )


def setting_names(table: pd.DataFrame) -> list[str]:
    """Returns the columns of the tidy table that are settings, the seed among them.

    Where something lies is none: its content is, and stands in a column of its own.
    """
    return [name for name in table.columns if name not in COLUMNS and name not in SPELLED]


def learns_ranks(init: str) -> bool:
    """Returns whether an init's runs choose ranks."""
    return not keeps_ranks(init)


def keeps_ranks(init: str) -> bool:
    """Returns whether an init's runs have fixed ranks, of LoRA-XS or of another adapter."""
    return init in (FIXED, *KIND_LABELS.values())


def is_baseline(table: pd.DataFrame) -> "pd.Series[bool]":
    """Returns of every row whether its run has fixed ranks that it could have learnt, as LoRA's.

    Args:
        table: the tidy table, or its cells.
    """
    return table["init"].isin(_BASELINES)


def has_several_kinds(runs: pd.DataFrame) -> bool:
    """Returns whether not all runs have the same kind of adapter."""
    return KIND in runs.columns and runs[KIND].nunique(dropna=False) > 1


def tuned_by_kind(runs: pd.DataFrame) -> tuple[str, ...]:
    """Returns starts of the settings that each kind of adapter has for itself; none of one kind.

    Args:
        runs: as from `to_table`, or their cells.
    """
    return _OF_A_KIND if has_several_kinds(runs) else ()


def _with_modes(table: pd.DataFrame) -> pd.DataFrame:
    """The table with ways to allocate in `init`, where runs with logits have several."""
    if "allocation.mode" not in table.columns:
        return table
    learnt = has_logits(table) & table["allocation.mode"].notna()
    modes = table.loc[learnt, "allocation.mode"]
    if modes.nunique() < 2:
        return table
    named = table.loc[learnt, "init"].str.cat(modes, sep=", ")
    return table.assign(init=table["init"].where(~learnt, named))


def _with_kinds(table: pd.DataFrame) -> pd.DataFrame:
    """The table with other adapters than LoRA-XS in `init`: an arm like an init's runs."""
    if KIND not in table.columns:
        return table
    labels = table[KIND].map(lambda kind: KIND_LABELS.get(kind, kind))
    is_fixed, is_other = table["init"] == FIXED, table[KIND].fillna(LORA_XS) != LORA_XS
    named = labels.where(is_fixed, table["init"].str.cat(labels, sep=", "))
    return table.assign(init=table["init"].where(~is_other, named))


def _own(name: str, values: list[Any]) -> pd.Series:
    return pd.Series(values, name=name, dtype=COLUMNS[name])


def _typed(name: str, values: list[Any]) -> pd.Series:
    """A setting's column with the type of all its values; `object` for lists and mixtures."""
    kinds = {type(value) for value in values if value is not None}
    if kinds == {float, int}:
        return pd.Series(values, name=name, dtype="Float64")
    one = {bool: "boolean", int: "Int64", float: "Float64", str: "str"}
    dtype = one.get(kinds.pop(), "object") if len(kinds) == 1 else "object"
    return pd.Series([_hashable(value) for value in values], name=name, dtype=dtype)


def _hashable(value: Any) -> Any:
    """Cells compare settings, so lists become tuples and objects their JSON text."""
    if isinstance(value, list):
        return tuple(_hashable(entry) for entry in value)
    return json.dumps(value, sort_keys=True) if isinstance(value, dict) else value
