"""Checks that the fields of a dataclass, read from JSON, have the types that it states."""

import dataclasses
import types
import typing
from collections.abc import Callable
from functools import cache
from typing import Any

Check = Callable[[Any], bool]


def check_fields(instance: Any) -> None:
    """Checks every field's type; integers stand for floats, booleans for nothing but themselves.

    Args:
        instance: a dataclass of plain types, unions of them, and lists, tuples and dicts of such.

    Raises:
        TypeError: a field has another type.
    """
    cls: Any = type(instance)
    for name, (said, fits) in _checks(cls).items():
        value = getattr(instance, name)
        if not fits(value):
            raise TypeError(f"{name} must be of type {said}, but got {str(value)[:60]!r}")


@cache
def _checks(cls: Any) -> dict[str, tuple[str, Check]]:
    """Field -> its type in words and its check, made once a class: records come in thousands."""
    hints = typing.get_type_hints(cls)
    names = [field.name for field in dataclasses.fields(cls)]
    return {n: (getattr(hints[n], "__name__", str(hints[n])), _check(hints[n])) for n in names}


def _check(hint: Any) -> Check:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if hint is Any or dataclasses.is_dataclass(hint):
        return lambda value: True
    if origin in (typing.Union, types.UnionType):
        checks = [_check(argument) for argument in arguments]
        return lambda value: any(fits(value) for fits in checks)
    if origin is list:
        all_fit = _check_all(arguments[0])
        return lambda value: isinstance(value, list) and all_fit(value)
    if origin is tuple:
        all_fit = _check_all(arguments[0])
        return lambda value: isinstance(value, tuple) and all_fit(value)
    if origin is dict:
        all_fit = _check_all(arguments[1])
        return lambda value: isinstance(value, dict) and all_fit(value.values())
    accepted = _accepted(hint)
    return lambda value: type(value) in accepted


def _check_all(hint: Any) -> Check:
    """Of the values in a list, tuple or dict: looks at the distinct types only, of plain ones."""
    if hint is Any or dataclasses.is_dataclass(hint):
        return lambda values: True
    if typing.get_origin(hint) in (list, tuple, dict):
        fits = _check(hint)
        return lambda values: all(map(fits, values))
    accepted = _accepted(hint)
    return lambda values: accepted.issuperset(map(type, values))


def _accepted(hint: Any) -> frozenset[type]:
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        return frozenset[type]().union(*map(_accepted, typing.get_args(hint)))
    return frozenset({float, int} if hint is float else {hint})
