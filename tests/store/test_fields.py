"""Types of fields as a dataclass states them."""

from dataclasses import dataclass, replace
from typing import Any

import pytest

from lora_sweep.store.fields import check_fields


@dataclass(frozen=True)
class Inner:
    n: int


@dataclass(frozen=True)
class Outer:
    name: str = "a"
    share: float = 0.5
    n: int = 1
    is_so: bool = True
    maybe: float | None = None
    many: list[float] | None = None
    named: dict[str, int] | None = None
    several: tuple[float | None, ...] = ()
    mixed: dict[str, float | str] | None = None
    anything: Any = None
    inner: list[Inner] | None = None
    rows: list[list[float]] | None = None


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"share": 1},
        {"maybe": 2.0},
        {"maybe": 2},
        {"many": [1, 2.5]},
        {"many": []},
        {"named": {"a": 1}},
        {"several": (1, 0.5, None)},
        {"mixed": {"a": 1, "b": 0.5, "c": "x"}},
        {"anything": [object()]},
        {"inner": [Inner(1)]},
        {"rows": [[1, 2.5], []]},
    ],
)
def test_right_types_pass(changes: dict[str, Any]) -> None:
    check_fields(replace(Outer(), **changes))


@pytest.mark.parametrize(
    "changes",
    [
        {"name": 1},
        {"name": None},
        {"share": "0.5"},
        {"share": True},
        {"n": 1.0},
        {"n": True},
        {"is_so": 1},
        {"maybe": "x"},
        {"many": [1, "2"]},
        {"many": {"a": 1}},
        {"many": [None]},
        {"named": {"a": 1.5}},
        {"named": [1]},
        {"several": [0.5]},
        {"several": ("x",)},
        {"mixed": {"a": None}},
        {"rows": [1.0]},
        {"rows": [[1.0], ["x"]]},
    ],
)
def test_wrong_types_are_named(changes: dict[str, Any]) -> None:
    (name,) = changes
    with pytest.raises(TypeError, match=f"{name} must be of type .*, but got"):
        check_fields(replace(Outer(), **changes))
