"""Hydra's folders and ours are the same, whichever of them a command names.

`hydra.run.dir=DIR` (one run) and `hydra.sweep.dir=DIR` (a sweep) make DIR the sweep's folder, as
`paths.outputs=PARENT paths.sweep=NAME` does; the run folders lie in it. `~` is the user's home.
"""

import re
from contextlib import suppress
from pathlib import Path
from typing import Any

from hydra.core.override_parser.types import Quote, QuotedString
from hydra.experimental.callback import Callback
from omegaconf import DictConfig, OmegaConf, read_write
from omegaconf.errors import OmegaConfBaseException

from lora_sweep.errors import SettingError
from lora_sweep.rules import expand_home, require

_RUN_FOLDER = "${run_folder:}"
_RUN_DIR = f"${{paths.outputs}}/${{paths.sweep}}/{_RUN_FOLDER}"

_WITH_HOME = re.compile(r"""(?<=[=,])[^,'"(){}\[\]]*~[^,'"(){}\[\]]*(?=,|$)""")


def quote_homes(argument: str) -> str:
    """Returns an argument of the command line with quotes around its paths with a `~`.

    Hydra's grammar has no `~` in a value, and a shell leaves that of `data.path=~/data` as it is.
    """
    is_quoted = "'" in argument or '"' in argument
    return argument if is_quoted else _WITH_HOME.sub(lambda path: quoted(path[0]), argument)


class SettlePlaces(Callback):
    """Makes `paths` and Hydra's folders agree before anything is written.

    What is wrong with a setting is left alone: Hydra turns a callback's error into a warning, and
    whoever asks for the setting next says it in full.
    """

    def on_run_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Called by Hydra before a single run."""
        with suppress(OmegaConfBaseException), read_write(config.hydra):
            given = _as_written(config.hydra.run, "dir")
            config.hydra.run.dir = given.removesuffix(f"/{_RUN_FOLDER}")
            folder = _folder(str(config.hydra.run.dir))
            config.paths.outputs, config.paths.sweep = str(folder.parent), folder.name
            config.hydra.run.dir = _RUN_DIR

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Called by Hydra before a sweep.

        Its jobs are composed anew from the overrides, so what is settled is an override too.
        """
        with suppress(OmegaConfBaseException), read_write(config.hydra):
            given = str(config.hydra.sweep.dir)
            folder = _folder(given)
            if given == str(folder) == f"{config.paths.outputs}/{config.paths.sweep}":
                return
            config.hydra.sweep.dir = str(folder)
            overrides = config.hydra.overrides
            others = [one for one in overrides.hydra if not one.startswith("hydra.sweep.dir=")]
            overrides.hydra = [*others, f"hydra.sweep.dir={quoted(folder)}"]
            places = {"paths.outputs": folder.parent, "paths.sweep": folder.name}
            own = [f"{name}={quoted(place)}" for name, place in places.items()]
            overrides.task = [*overrides.task, *own]


def check_subfolder(composed: DictConfig) -> None:
    """Checks that a job's folder is its run's.

    Raises:
        SettingError: it would be another, so that Hydra's files would lie beside the run.
    """
    given = _as_written(composed.hydra.sweep, "subdir")
    rule = "left as it is, for a run's folder is found again by its settings"
    require(given == _RUN_FOLDER, "hydra.sweep.subdir", rule, given)


def _as_written(config: DictConfig, key: str) -> str:
    """A value with its interpolations."""
    values: Any = OmegaConf.to_container(config, resolve=False)
    return str(values[key])


def _folder(given: str) -> Path:
    """A sweep's folder, which has a name: `.` has one too."""
    try:
        folder = expand_home("hydra.sweep.dir", given)
    except SettingError:
        return Path(given)  # `paths` has the rule
    return folder.resolve() if folder.name in ("", "..") else folder


def quoted(value: object) -> str:
    """Returns a value as Hydra reads it on a command line, whatever is in it."""
    text = str(value)
    is_plain = re.fullmatch(r"[A-Za-z_][\w./-]*", text, re.ASCII)
    return text if is_plain else QuotedString(text, Quote.single).with_quotes()
