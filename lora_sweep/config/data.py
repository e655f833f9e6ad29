"""The settings of a corpus: what all sources share, and what each asks for besides."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from omegaconf import MISSING

from lora_sweep.errors import SettingError
from lora_sweep.rules import require


@dataclass(unsafe_hash=True)
class DataConfig:
    """What every source has.

    Attributes:
        name: of the option, as in tables.
        task: shown in the column Task.
        max_length: tokens a text is cut to.
        selection_fraction: share of train that is held out to choose the epoch; 0 for none.
    """

    name: str = MISSING
    task: str = MISSING
    max_length: int = MISSING
    selection_fraction: float = MISSING

    def __post_init__(self) -> None:
        require(self.max_length >= 4, "data.max_length", "at least 4", self.max_length)
        share = self.selection_fraction
        rule = "within 0 ... 1 (1 excluded)"
        require(0 <= share < 1, "data.selection_fraction", rule, share)


@dataclass(unsafe_hash=True)
class MinimalPairsConfig(DataConfig):
    """The embedded, generated corpus: sizes and the seed it is generated from."""

    seed: int = MISSING
    n_train: int = MISSING
    n_dev: int = MISSING
    n_out_of_domain: int = MISSING

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("n_train", "n_dev", "n_out_of_domain"):
            value = getattr(self, name)
            require(value >= 10, f"data.{name}", "at least 10", value)


@dataclass(unsafe_hash=True)
class GlueConfig(DataConfig):
    """A GLUE task of the hub, which `task` names."""


@dataclass(unsafe_hash=True)
class ColaConfig(GlueConfig):
    """CoLA, from the hub or from the folder `path` of its three raw TSV files.

    Attributes:
        path: folder of the files; null for the hub.
        n_train: training sentences, drawn with every label's share; null for all of them.
    """

    path: str | None = None
    n_train: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        is_enough = self.n_train is None or self.n_train >= 10
        require(is_enough, "data.n_train", "null or at least 10", self.n_train)


@dataclass(unsafe_hash=True)
class FilesConfig(DataConfig):
    """Local CSV, TSV, JSON lines or Parquet files, by column name.

    Attributes:
        path: folder that `train` and `dev` lie in; null for the folder of the command.
        train, dev: files.
        text, text_pair, label: columns; text_pair is null for single sentences.
        regression: whether labels are real numbers.
        metric: the headline metric; null for accuracy, or pearson for regression.
    """

    path: str | None = None
    train: str = MISSING
    dev: str = MISSING
    text: str = MISSING
    text_pair: str | None = None
    label: str = MISSING
    regression: bool = MISSING
    metric: str | None = None


def recorded_data(settings: Mapping[str, Any]) -> DataConfig:
    """Returns the data of a run from its settings, `data.*` among them.

    A setting that the run's version did not have yet takes its default.

    Raises:
        SettingError: they are of no source that is known.
    """
    own = {
        name.removeprefix("data."): value
        for name, value in settings.items()
        if name.startswith("data.")
    }
    for kind in (MinimalPairsConfig, FilesConfig, GlueConfig, ColaConfig):
        fields = dataclasses.fields(kind)
        needed = {field.name for field in fields if field.default is MISSING}
        if needed <= set(own) <= {field.name for field in fields}:
            return kind(**own)
    raise SettingError(f"data must be of a source that is known, but got {', '.join(sorted(own))}")
