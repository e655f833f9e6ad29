"""What may be set on a command line: groups, their options, and all fields with their types."""

import dataclasses
from functools import cache
from pathlib import Path
from typing import Any, get_type_hints

from lora_sweep.config.data import DATA_SOURCES
from lora_sweep.config.run import RunConfig
from lora_sweep.config.store import CONF, SCHEMAS


@cache
def options() -> dict[str, list[str]]:
    """Returns the options of every group, in order of their names; `hydra` is no group of ours."""
    folders = sorted(path for path in Path(CONF).iterdir() if path.is_dir())
    return {
        folder.name: sorted(file.stem for file in folder.glob("*.yaml"))
        for folder in folders
        if folder.name != "hydra"
    }


@cache
def fields() -> dict[str, Any]:
    """Returns dotted name -> type of every setting; `data` has those of all its sources."""
    kinds = {name: kind for name, kind in get_type_hints(RunConfig).items() if name not in SCHEMAS}
    del kinds["data"]
    for group, schema in [*SCHEMAS.items(), *(("data", one) for one in DATA_SOURCES.values())]:
        hints = get_type_hints(schema)
        own = {field.name: hints[field.name] for field in dataclasses.fields(schema)}
        kinds |= {f"{group}.{name}": kind for name, kind in own.items()}
    return kinds


def fields_of(group: str) -> list[str]:
    """Returns the names of a group's settings, without the group."""
    return sorted(
        name.removeprefix(f"{group}.") for name in fields() if name.startswith(f"{group}.")
    )
