"""The data sources: what each asks for, and how it is loaded.

A source is one class here: its settings, their rules, and `load`. `data_source` registers it under
a name; that name makes Hydra's schema `hydra/schema/data_NAME`, which an option in `conf/data/`
starts from.
"""

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

from omegaconf import MISSING

from lora_sweep.data.corpus import Corpus
from lora_sweep.data.tasks import TASKS
from lora_sweep.data.text_files import check_readable
from lora_sweep.errors import SettingError
from lora_sweep.rules import (
    MOST_NUMPY_SEED,
    MOST_SEED,
    MOST_TEXTS,
    absolute,
    expand_home,
    require,
    require_count,
)

# What reads data and computes is imported where it is used, so that `--help` is instant.


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

    def load(self) -> Corpus:
        """Returns the corpus, without a selection split.

        Raises:
            CorpusError: it is not to be had, or something in it is wrong.
        """
        raise NotImplementedError

    def files(self) -> Mapping[str, Path]:
        """Returns the files that hold the corpus, by what they are; none for one without files."""
        return {}

    def check_files(self) -> None:
        """Checks that the files are there and can be opened; they are not read, so it is quick.

        Raises:
            CorpusError: one is not.
        """
        check_readable(self.files().values())

    def places(self) -> Mapping[str, str | None]:
        """Returns the settings that say where the files lie, right from any folder."""
        return {}

    @property
    def columns(self) -> tuple[str, str | None, str]:
        """Columns of text, second text (None for single sentences) and label in the source."""
        task = TASKS.get(self.task) or self.load().task
        return task.text, task.text_pair, task.label


CONTENT = "data.content"
"""The setting that is the digest of the files, where the corpus is in some."""

SharedTexts = Literal["refuse", "drop", "keep"]
DATA_SOURCES: dict[str, type[DataConfig]] = {}
"""Every source by its name, in the order of this file."""

Source = TypeVar("Source", bound=type[DataConfig])


def data_source(name: str) -> Callable[[Source], Source]:
    """Returns a class decorator that registers a source.

    Args:
        name: of the source. An option of the same name is known to be of this source wherever its
            settings are read again.
    """

    def register(source: Source) -> Source:
        DATA_SOURCES[name] = source
        return source

    return register


@dataclass(unsafe_hash=True)
class SubsetConfig(DataConfig):
    """A source that is what it is, whose rows can be taken in part.

    Attributes:
        seed: fixes which rows are taken.
        n_train: training texts, drawn with every label's share; null for all of them.
        n_dev: dev texts, over all parts, drawn with every part's and label's share; null for all.
    """

    seed: int = 0
    n_train: int | None = None
    n_dev: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("n_train", "n_dev"):
            value = getattr(self, name)
            if value is not None:
                require_count(f"data.{name}", value, 10, MOST_TEXTS)
        require_count("data.seed", self.seed, 0, MOST_NUMPY_SEED)

    @property
    def is_whole(self) -> bool:
        """Whether all rows are taken."""
        return self.n_train is None and self.n_dev is None

    def load_all(self) -> Corpus:
        """Returns the corpus with all rows, without a selection split.

        Raises:
            CorpusError: it is not to be had, or something in it is wrong.
        """
        raise NotImplementedError

    def load(self) -> Corpus:
        """Returns the corpus with the rows that are asked for."""
        from lora_sweep.data.subsets import take_part

        corpus = self.load_all()
        return take_part(corpus, n_train=self.n_train, n_dev=self.n_dev, seed=self.seed)


@data_source("minimal_pairs")
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
            require_count(f"data.{name}", value, 10, MOST_TEXTS)
        require_count("data.seed", self.seed, 0, MOST_SEED)

    def load(self) -> Corpus:
        """Returns the corpus, generated."""
        from lora_sweep.data.sources import load_minimal_pairs

        return load_minimal_pairs(
            seed=self.seed,
            n_train=self.n_train,
            n_dev=self.n_dev,
            n_out_of_domain=self.n_out_of_domain,
        )


@data_source("files")
@dataclass(unsafe_hash=True)
class FilesConfig(SubsetConfig):
    """Local CSV, TSV, JSON or Parquet files, by column name.

    Attributes:
        path: folder that `train` and `dev` lie in; null for the folder of the command.
        train, dev: files.
        text, text_pair, label: columns; text_pair is null for single sentences.
        regression: whether labels are real numbers.
        metric: the headline metric; null for accuracy, or pearson for regression.
        positive: the label that F1 is of; null for the second one.
        shared_texts: what becomes of texts of train that stand in dev too: `refuse`, `drop` them
            from train, or `keep` them.
    """

    path: str | None = None
    train: str = MISSING
    dev: str = MISSING
    text: str = MISSING
    text_pair: str | None = None
    label: str = MISSING
    regression: bool = MISSING
    metric: str | None = None
    positive: str | None = None
    shared_texts: SharedTexts = "refuse"

    def load_all(self) -> Corpus:
        """Returns the corpus in the files."""
        from lora_sweep.data.files import label_name, load_files
        from lora_sweep.data.positive import with_positive

        corpus = load_files(
            **self.files(),
            text=self.text,
            text_pair=self.text_pair,
            label=self.label,
            regression=self.regression,
            metric=self.metric,
            shared_texts=self.shared_texts,
        )
        return with_positive(corpus, None if self.positive is None else label_name(self.positive))

    def files(self) -> Mapping[str, Path]:
        """Returns the two files."""
        folder = expand_home("data.path", self.path or ".")
        return {
            "train": folder / expand_home("data.train", self.train),
            "dev": folder / expand_home("data.dev", self.dev),
        }

    def places(self) -> Mapping[str, str | None]:
        """Returns the folder of the files."""
        return {"data.path": absolute("data.path", self.path or ".")}

    @property
    def columns(self) -> tuple[str, str | None, str]:
        """Columns of the files."""
        return self.text, self.text_pair, self.label


@data_source("glue")
@dataclass(unsafe_hash=True)
class GlueConfig(SubsetConfig):
    """A GLUE task of the hub, which `task` names.

    Attributes:
        positive: the label that F1 is of; null for the second one.
    """

    positive: str | None = None

    def load_all(self) -> Corpus:
        """Returns the task from the hub's cache or the hub."""
        from lora_sweep.data.positive import with_positive
        from lora_sweep.data.sources import load_glue

        return with_positive(load_glue(self.task), self.positive)


@data_source("cola")
@dataclass(unsafe_hash=True)
class ColaConfig(GlueConfig):
    """CoLA, from the hub or from the folder `path` of its three raw TSV files.

    Attributes:
        path: folder of the files; null for the hub.
    """

    path: str | None = None

    def load_all(self) -> Corpus:
        """Returns the corpus."""
        from lora_sweep.data.positive import with_positive
        from lora_sweep.data.sources import load_cola, load_glue

        corpus = (
            load_glue(self.task)
            if self.path is None
            else load_cola(expand_home("data.path", self.path))
        )
        return with_positive(corpus, self.positive)

    def files(self) -> Mapping[str, Path]:
        """Returns the authors' files; none for the hub's corpus."""
        from lora_sweep.data.sources import COLA_FILES

        if self.path is None:
            return {}
        folder = expand_home("data.path", self.path)
        return {part: folder / name for part, name in COLA_FILES.items()}

    def check_files(self) -> None:
        """Checks that the folder holds the authors' files."""
        if self.path is not None:
            from lora_sweep.data.sources import check_cola

            check_cola(expand_home("data.path", self.path))

    def places(self) -> Mapping[str, str | None]:
        """Returns the folder of the files."""
        return {} if self.path is None else {"data.path": absolute("data.path", self.path)}


def recorded_data(settings: Mapping[str, Any]) -> DataConfig:
    """Returns the data of a run from its settings, `data.*` among them.

    The source is the one that is called like the option, `data.name`. Options that are not called
    like a source (GLUE's tasks, a user's own) are of the first one with just their settings. A
    setting that the run's version did not have yet takes its default.

    Raises:
        SettingError: they are of no source that is known.
    """
    own = {
        name.removeprefix("data."): value
        for name, value in settings.items()
        if name.startswith("data.") and name != CONTENT
    }
    named = DATA_SOURCES.get(own.get("name", ""))
    for source in (*([named] if named else []), *DATA_SOURCES.values()):
        fields = dataclasses.fields(source)
        needed = {field.name for field in fields if field.default is MISSING}
        if needed <= set(own) <= {field.name for field in fields}:
            return source(**own)
    raise SettingError(f"data must be of a source that is known, but got {', '.join(sorted(own))}")
