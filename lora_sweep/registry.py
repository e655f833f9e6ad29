"""Classes with settings that are found by themselves: a file each, in a folder of their own.

A class is a dataclass with a `name`; its fields are its settings, with their rules in
`__post_init__`.
"""

import pkgutil
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, fields
from importlib import import_module
from types import ModuleType
from typing import Any, TypeVar

from lora_sweep.rules import require

Class = TypeVar("Class")


def named_classes(folder: ModuleType, base: type[Class]) -> dict[str, type[Class]]:
    """Returns name -> class, of every subclass with a name; those of the folder's files are there.

    Args:
        folder: package whose files are imported.
        base: what they derive from.
    """
    for file in pkgutil.iter_modules(folder.__path__):
        import_module(f"{folder.__name__}.{file.name}")
    return {name: own for own in _subclasses(base) if (name := getattr(own, "name", ""))}


def make(
    known: Mapping[str, type[Class]], what: str, name: str, settings: Mapping[str, Any]
) -> Class:
    """Returns an instance of the class of that name.

    Args:
        known: name -> class.
        what: the setting that chooses, for messages: `mode`.
        name: one of the known.
        settings: name -> value; None for those of other classes. What is not there takes the
            class's default.

    Raises:
        SettingError: there is no such class, or a setting is missing, another class's, or breaks
            its rule.
    """
    require(name in known, what, f"one of {', '.join(known)}", repr(name))
    own = {field.name: field.default for field in fields(known[name])}  # type: ignore[arg-type]
    for setting, value in settings.items():
        rule = f"null with {what}={name}, which has no such setting"
        require(value is None or setting in own, setting, rule, value)
    given = {setting: settings.get(setting, default) for setting, default in own.items()}
    for setting, value in given.items():
        is_given = value is not None and value is not MISSING
        require(is_given, setting, f"given with {what}={name}", settings.get(setting))
    return known[name](**given)


def _subclasses(base: type[Class]) -> Iterator[type[Class]]:
    for own in base.__subclasses__():
        yield own
        yield from _subclasses(own)
