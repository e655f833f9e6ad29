"""What to evaluate on: the run's own data, other data by settings, or a file."""

import dataclasses
import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from lora_sweep.config.arguments import check_data_arguments
from lora_sweep.config.data import CONTENT, DataConfig, FilesConfig, SubsetConfig, recorded_data
from lora_sweep.data.corpus import LabelledTexts
from lora_sweep.data.files import load_labelled
from lora_sweep.data.subsets import take_dev
from lora_sweep.errors import SettingError
from lora_sweep.execution.content import content_digest
from lora_sweep.rules import require
from lora_sweep.trained.about import About

_OF_TRAINING = ("max_length", "metric", "positive", "regression", "selection_fraction")
"""What the run was trained with, and is evaluated with."""
_OF_TRAIN = ("n_train", "shared_texts", "train")
"""What chooses no text of dev, where train and dev are files of their own."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class LabelledParts:
    """Texts to evaluate on.

    Attributes:
        title: what they are, for people.
        parts: name -> texts, with labels as the classifier numbers its classes.
        headline: the parts that the metric without a suffix is of.
    """

    title: str
    parts: Mapping[str, LabelledTexts]
    headline: tuple[str, ...]


def data_parts(about: About, overrides: Sequence[str]) -> LabelledParts:
    """Returns the dev parts of a data source. Of a user's files the one with dev alone is read.

    Args:
        about: of the classifier.
        overrides: settings of the group `data` that choose texts, as on the command line; without
            `data=NAME` they change the run's own data, and a `data.dev` without `data.path` lies
            where the command is started. Other files are evaluated whole, also of a run on part
            of its own, unless `data.n_dev` is among them.

    Raises:
        LoraSweepError: a setting is wrong, or the corpus is not to be had or has other labels.
    """
    config = _data_config(about.settings, overrides)
    if (config.columns[1] is None) != (about.columns[1] is None):
        raise SettingError(
            f"data must be on {'single sentences' if about.columns[1] is None else 'pairs'} as "
            f"the run is, but got {config.name}"
        )
    if isinstance(config, FilesConfig):
        dev = {"dev": _labelled(config.files()["dev"], about, config.columns)}
        if config.n_dev is not None:
            is_regression = about.is_regression
            dev = take_dev(dev, n=config.n_dev, seed=config.seed, is_regression=is_regression)
        title = str(config.files()["dev"]) if overrides else config.name
        return LabelledParts(title, dev, ("dev",))
    corpus = config.load()
    renumbered = _numbers(corpus.task.label_names, about.label_names, config.name)
    parts = {name: _renumber(part, renumbered) for name, part in corpus.dev.items()}
    return LabelledParts(config.name, parts, corpus.headline_parts)


def file_parts(path: Path, about: About, columns: tuple[str, str | None, str]) -> LabelledParts:
    """Returns the rows of a file as one part.

    Args:
        path: CSV, TSV, JSON lines or Parquet.
        about: of the classifier.
        columns: of text, second text (None for single sentences) and label.

    Raises:
        CorpusError: the file can't be read, or a row breaks a rule; says where.
    """
    return LabelledParts(str(path), {"input": _labelled(path, about, columns)}, ("input",))


def _labelled(path: Path, about: About, columns: tuple[str, str | None, str]) -> LabelledTexts:
    text, text_pair, label = columns
    return load_labelled(
        path, text=text, text_pair=text_pair, label=label, label_names=about.label_names
    )


def _data_config(settings: Mapping[str, Any], overrides: Sequence[str]) -> DataConfig:
    check_data_arguments(overrides)
    given = [name.removeprefix("data.") for name in overrides if name.startswith("data.")]
    if any(override.startswith("data=") for override in overrides):
        _check_chosen(given, _OF_TRAINING)
        return _composed(overrides, given)
    own = recorded_data(settings)
    if not given:
        _warn_of_changes(own, settings)
        return own
    _check_chosen(given, _OF_TRAINING + (_OF_TRAIN if isinstance(own, SubsetConfig) else ()))
    return _changed(own, given)


def _warn_of_changes(config: DataConfig, settings: Mapping[str, Any]) -> None:
    """Says that the run's own files are others by now; without one of them nothing is known."""
    files = config.files()
    if not files or CONTENT not in settings or not all(map(Path.is_file, files.values())):
        return
    if content_digest(files) != settings[CONTENT]:
        places = ", ".join(map(str, files.values()))
        log.warning("the files have changed since the run was trained on them: %s", places)


def _check_chosen(given: Sequence[str], idle: Collection[str]) -> None:
    """Checks that what is given chooses texts: the rest stays as the run was trained."""
    for value in given:
        rule = "one that chooses texts, for the rest stays as the run was trained"
        require(value.partition("=")[0] not in idle, "data.SETTING", rule, f"data.{value}")


def _composed(overrides: Sequence[str], given: Sequence[str]) -> DataConfig:
    """The group `data` as a command with these overrides has it; it needs no train."""
    from hydra import compose, initialize_config_dir

    from lora_sweep.config.run import to_run_config
    from lora_sweep.config.store import CONF
    from lora_sweep.plugins import register

    register()
    dev = [f"data.train={value.partition('=')[2]}" for value in given if value.startswith("dev=")]
    with initialize_config_dir(CONF):
        return to_run_config(compose("config", overrides=[*overrides, *dev])).data


def _changed(config: DataConfig, values: Sequence[str]) -> DataConfig:
    from omegaconf import OmegaConf

    known = [field.name for field in dataclasses.fields(config)]
    for value in values:
        rule = f"one of {config.name}'s own ({', '.join(known)})"
        require(value.partition("=")[0] in known, "data.SETTING", rule, f"data.{value}")
    has_place = any(value.startswith("path=") for value in values)
    if any(value.startswith("dev=") for value in values) and not has_place:
        values = [*values, "path=null"]
    changed = OmegaConf.merge(OmegaConf.structured(config), OmegaConf.from_dotlist(list(values)))
    typed = OmegaConf.to_object(changed)
    assert isinstance(typed, DataConfig)
    if isinstance(typed, SubsetConfig) and _dev_files(typed) != _dev_files(config):
        is_asked_for = any(value.startswith("n_dev=") for value in values)
        return typed if is_asked_for else replace(typed, n_dev=None)
    return typed


def _dev_files(config: DataConfig) -> list[Path]:
    return [path for what, path in config.files().items() if "train" not in what]


def _numbers(theirs: Sequence[str], ours: Sequence[str], name: str) -> list[int] | None:
    """The classifier's number of every class of a corpus; None where numbers stay as they are."""
    if list(theirs) == list(ours):
        return None
    if ours and theirs and set(theirs) <= set(ours):
        return [list(ours).index(label) for label in theirs]
    numbers = [str(number) for number in range(len(ours))]
    if theirs and set(theirs) <= set(numbers):
        return [int(label) for label in theirs]
    raise SettingError(
        f"data must have labels among the run's ({', '.join(ours) or 'real numbers'}) or their "
        f"numbers, but got {name} with {', '.join(theirs) or 'real numbers'}"
    )


def _renumber(texts: LabelledTexts, numbers: list[int] | None) -> LabelledTexts:
    if numbers is None:
        return texts
    return replace(texts, labels=tuple(numbers[int(label)] for label in texts.labels))
