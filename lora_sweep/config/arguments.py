"""What is typed for a run, checked before Hydra reads it: every mistake is said in our words.

Hydra parses `NAME=VALUE` by a grammar of its own and tells of a fault in the grammar's terms. Here
the form, the names, the options and the types are looked at first, and the right form is said.
"""

import difflib
import re
from collections.abc import Sequence
from dataclasses import make_dataclass
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, OverrideType, QuotedString, Transformer
from hydra.errors import HydraException
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from lora_sweep.config.names import fields, fields_of, options
from lora_sweep.errors import SettingError
from lora_sweep.rules import require

_WORDS = {int: "an integer", float: "a number", bool: "true or false", str: "a text"}


def check_arguments(
    arguments: Sequence[str], *, is_multirun: bool, own_configs: bool = False
) -> None:
    """Checks the settings of a command line.

    Args:
        arguments: without options (`--multirun`).
        is_multirun: whether they name a sweep: then a setting may have several values.
        own_configs: whether the user brings configs of their own, so that options and groups may
            be others than ours.

    Raises:
        SettingError: one is no setting, or its value is none that it can have.
    """
    _check_blanks(arguments)
    for argument in arguments:
        parsed = _parsed(argument)
        name = parsed.key_or_group
        if name.startswith("hydra") or parsed.package is not None:
            continue
        if not (own_configs and name not in fields()):
            _check_name(name, argument)
        if parsed.type is OverrideType.DEL:
            continue
        values = _values(parsed, argument, is_multirun=is_multirun)
        for value in [] if own_configs else values:
            _check_value(name, value)


def check_data_arguments(arguments: Sequence[str]) -> None:
    """Checks settings that say only what data is meant.

    Args:
        arguments: `data=NAME` and `data.SETTING=VALUE`.

    Raises:
        SettingError: as in `check_arguments`, or one is of another group.
    """
    for argument in arguments:
        if not argument.startswith(("data=", "data.")):
            raise SettingError(
                f"only data=NAME and data.SETTING=VALUE may be given here, but got {argument}"
            )
    check_arguments(arguments, is_multirun=False)


def _check_blanks(arguments: Sequence[str]) -> None:
    """A shell cuts `lr=0.1, 0.2` and `lr = 0.1` into words."""
    for at, word in enumerate(arguments):
        cut = [word]
        for following in arguments[at + 1 :]:
            if not _is_cut("".join(cut), following):
                break
            cut.append(following)
        if len(cut) > 1:
            raise SettingError(
                f"a setting must be typed without blanks, but got {' '.join(cut)}: type "
                f"{''.join(cut)}"
            )


def _is_cut(before: str, after: str) -> bool:
    """Whether two words look like one setting."""
    if "=" not in before:
        return after.startswith("=")
    is_open = before.endswith((",", "=")) and "=" not in after
    return is_open or after.startswith(",")


def _parsed(argument: str) -> Override:
    name, _, value = argument.partition("=")
    if not name or ("=" not in argument and not argument.startswith("~")):
        raise SettingError(f"a setting must be NAME=VALUE, but got {argument}{_meant(name)}")
    try:
        return OverridesParser.create().parse_override(argument)
    except HydraException as error:
        raise SettingError(
            f"{name} must have a value that can be read, but got {value or 'nothing'}: quotes "
            f"keep signs as they are, '{name}=\"{value}\"'"
        ) from error


def _check_name(name: str, argument: str) -> None:
    if name in options() or name in fields():
        rule = "typed without a +, for it is there already"
        require(not argument.startswith("+") or argument.startswith("++"), name, rule, argument)
        return
    group = name.partition(".")[0]
    known = f": {group} has {', '.join(fields_of(group))}" if fields_of(group) else _roots()
    raise SettingError(f"{name} is no setting, but got {argument}{_meant(name) or known}")


def _roots() -> str:
    plain = [name for name in fields() if "." not in name]
    return f": there are {', '.join(sorted([*options(), *plain]))}"


def _meant(name: str) -> str:
    """`: did you mean rank.min?`, or nothing.

    A name without its group, or with another sign than the point, is known; else the nearest one.
    """
    if not name:
        return ""
    known = [*options(), *fields()]
    plain = re.sub(r"[^a-z0-9]", "", name.lower())
    same = [
        one
        for one in known
        if plain in (re.sub(r"[^a-z0-9]", "", part) for part in (one, one.partition(".")[2]))
    ]
    near = same or difflib.get_close_matches(name, known, n=2, cutoff=0.7)
    return f": did you mean {' or '.join(near)}?" if near else ""


def _values(override: Override, argument: str, *, is_multirun: bool) -> list[Any]:
    """The values that are to be checked; none for what only Hydra can tell."""
    if not override.is_sweep_override():
        return [override.value()]
    if not is_multirun:
        rule = "one value in a single run"
        raise SettingError(
            f"{override.key_or_group} must be {rule}, but got {argument}: add --multirun (-m) "
            "for a run with each"
        )
    if override.is_choice_sweep() or override.is_range_sweep():
        return [_plain(value) for value in override.sweep_iterator(Transformer.identity)]
    return []


def _plain(value: Any) -> Any:
    """A value without the quotes that it was typed in."""
    if isinstance(value, QuotedString):
        return value.text
    return [_plain(one) for one in value] if isinstance(value, list) else value


def _check_value(name: str, value: Any) -> None:
    if isinstance(value, str) and "${" in value:
        return
    if isinstance(value, list) and (name in options() or not _takes_list(fields()[name])):
        typed = ",".join(map(str, value))
        raise SettingError(
            f"{name} must be one value, and in a sweep a list without brackets, but got "
            f"[{typed}]: type --multirun {name}={typed}"
        )
    if name in options():
        _check_option(name, value)
        return
    kind = fields()[name]
    try:
        OmegaConf.update(OmegaConf.structured(make_dataclass("Typed", [("x", kind)])), "x", value)
    except OmegaConfBaseException as error:
        given = "nothing" if value == "" else value
        raise SettingError(f"{name} must be {_in_words(kind)}, but got {given}") from error


def _check_option(group: str, value: Any) -> None:
    known, inside = options()[group], fields_of(group)
    if value is None or str(value) in known:
        return
    near = difflib.get_close_matches(str(value), known, n=1)
    meant = f": did you mean {near[0]}?" if near else ""
    if inside and not near:
        meant = f": a setting of it is {group}.{inside[0]}=VALUE"
    raise SettingError(f"{group} must be one of {', '.join(known)}, but got {value}{meant}")


def _takes_list(kind: Any) -> bool:
    return any(get_origin(one) is list for one in (kind, *get_args(kind)))


def _in_words(kind: Any) -> str:
    """`null or a number`, for a type of a setting."""
    if get_origin(kind) in (Union, UnionType):
        parts = sorted(get_args(kind), key=lambda one: one is not type(None))
        return " or ".join("null" if one is type(None) else _in_words(one) for one in parts)
    if get_origin(kind) is Literal:
        return f"one of {', '.join(map(str, get_args(kind)))}"
    return "a list in brackets" if get_origin(kind) is list else _WORDS.get(kind, str(kind))
