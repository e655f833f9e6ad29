"""Checks that the fields of a dataclass, read from JSON, have the types that it states."""

import dataclasses
import types
import typing
from functools import cache
from typing import Any


def check_fields(instance: Any) -> None:
    """Checks every field's type; integers stand for floats, booleans for nothing but themselves.

    Args:
        instance: a dataclass of plain types, unions with None, and lists and dicts of them.

    Raises:
        TypeError: a field has another type.
    """
    cls: Any = type(instance)
    for name, hint in _hints(cls).items():
        value = getattr(instance, name)
        if not _fits(value, hint):
            said = getattr(hint, "__name__", str(hint))
            raise TypeError(f"{name} must be of type {said}, but got {str(value)[:60]!r}")


@cache
def _hints(cls: Any) -> dict[str, Any]:
    hints = typing.get_type_hints(cls)
    return {field.name: hints[field.name] for field in dataclasses.fields(cls)}


def _fits(value: Any, hint: Any) -> bool:
    if hint is Any or dataclasses.is_dataclass(hint):
        return True
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return any(_fits(value, argument) for argument in arguments)
    if origin is list:
        return isinstance(value, list) and _all_fit(value, arguments[0])
    if origin is dict:
        return isinstance(value, dict) and _all_fit(list(value.values()), arguments[1])
    return type(value) in _accepted(hint)


def _all_fit(values: list[Any], hint: Any) -> bool:
    """Looks at the distinct types only: a record has thousands of ranks."""
    if hint is Any or dataclasses.is_dataclass(hint):
        return True
    return set(map(type, values)) <= _accepted(hint)


def _accepted(hint: Any) -> set[type]:
    return {float, int} if hint is float else {hint}
