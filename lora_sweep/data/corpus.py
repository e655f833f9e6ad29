"""Labelled texts in splits, and the rules that every corpus has to meet.

    corpus = train + dev parts (in order) + selection

The selection split is a part of train that was held out: a setting is chosen on it, and reported
on the dev parts. `headline_parts` names the dev parts whose concatenation gives the headline
metric.
"""

import hashlib
import json
import logging
import math
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path

from lora_sweep.data.tasks import Task
from lora_sweep.errors import CorpusError
from lora_sweep.vocabulary import SELECTION, TRAIN

log = logging.getLogger(__name__)

_SHOWN = 80
"""Characters of a text that messages show."""
Place = Callable[[str, int], str]

_DROP = (
    ": data.shared_texts=drop takes them out of train, data.shared_texts=keep leaves them there"
)


@dataclass(frozen=True)
class LabelledTexts:
    """One split: sentences, or pairs of them, with a label each.

    Attributes:
        texts: sentences, or the first ones of the pairs.
        pairs: the second ones; None for single sentences.
        labels: class numbers from 0, or real numbers for regression.
    """

    texts: tuple[str, ...]
    pairs: tuple[str, ...] | None
    labels: tuple[int, ...] | tuple[float, ...]

    def __post_init__(self) -> None:
        n_pairs = len(self.texts) if self.pairs is None else len(self.pairs)
        assert len(self.texts) == n_pairs == len(self.labels)

    def __len__(self) -> int:
        return len(self.texts)

    def rows(self, which: Sequence[int]) -> "LabelledTexts":
        """Returns the named rows, in that order.

        Args:
            which: row numbers, 0 for the first.
        """
        pairs = None if self.pairs is None else tuple(self.pairs[row] for row in which)
        texts = tuple(self.texts[row] for row in which)
        return LabelledTexts(texts, pairs, tuple(self.labels[row] for row in which))

    def words(self, row: int) -> str:
        """Returns the start of a row's text, or of both texts of a pair, for messages.

        Args:
            row: its number, 0 for the first.
        """
        parts = [self.texts[row], *([] if self.pairs is None else [self.pairs[row]])]
        return " with ".join(repr(part[:_SHOWN]) for part in parts)


@dataclass(frozen=True)
class Corpus:
    """A task's labelled texts.

    Attributes:
        task: what is predicted.
        train: the training split.
        dev: part name -> split, in the order of tables.
        selection: rows held out of train; None where nothing was.
        headline_parts: the dev parts that together give the headline metric.
        files: split -> the file that it was read from, for messages; without splits of no file.
    """

    task: Task
    train: LabelledTexts
    dev: dict[str, LabelledTexts]
    selection: LabelledTexts | None
    headline_parts: tuple[str, ...]
    files: Mapping[str, Path] = field(default_factory=dict)

    def __post_init__(self) -> None:
        assert self.headline_parts and set(self.headline_parts) <= set(self.dev)

    def splits(self) -> Iterator[tuple[str, LabelledTexts]]:
        """Yields name and rows of train, of every dev part and, where there is one, selection."""
        yield TRAIN, self.train
        yield from self.dev.items()
        if self.selection is not None:
            yield SELECTION, self.selection

    def where(self, *splits: str) -> str:
        """Returns the splits' names, with the files that they were read from, for messages."""
        files = ", ".join(str(self.files[split]) for split in splits if split in self.files)
        return f"{' and '.join(splits)}{f' ({files})' if files else ''}"

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 (hex) of task, headline metric and parts, and all rows in their order."""
        task = self.task
        digest = hashlib.sha256()
        # One JSON value a line: JSON escapes line breaks, so two corpora never look the same.
        for value in (task.name, task.n_labels, task.label_names, task.metrics[0]):
            digest.update(json.dumps(value).encode() + b"\n")
        digest.update(json.dumps(self.headline_parts).encode() + b"\n")
        for name, split in self.splits():
            for part in (name, split.texts, split.pairs, split.labels):
                digest.update(json.dumps(part).encode() + b"\n")
        return digest.hexdigest()


def row_place(split: str, row: int) -> str:
    """Returns where a row stands, for corpora that don't come from a user's files."""
    return f"{split}, row {row + 1}"


def check_corpus(
    corpus: Corpus, *, published: bool, keeps_shared: bool = False, place: Place = row_place
) -> Corpus:
    """Returns the corpus if it meets the rules.

    Args:
        corpus: what was read.
        published: True for a corpus that is what it is: empty texts and repeated sentences are
            then logged, not refused, so that results stay comparable with other people's.
        keeps_shared: True where a user wants a sentence in two splits left there; it is logged.
        place: split name and row number (0 for the first) -> where that is, for messages.

    Raises:
        CorpusError: a split without rows; a label outside the task's; training labels that are
            all the same; and, unless published, an empty text, or a sentence in two splits.
    """
    for name, split in corpus.splits():
        if not len(split):
            raise CorpusError(f"split {name!r} has no rows")
        _check_labels(corpus.task, name, split, place)
    if len(set(corpus.train.labels)) == 1:
        raise CorpusError(
            f"{corpus.where(TRAIN)}: column {corpus.task.label!r} is "
            f"{corpus.task.label_words(corpus.train.labels[0])} in every row: there is nothing to "
            "learn"
        )
    published_words = "left as published" if published else ""
    _refuse(corpus, _empty_texts(corpus, place), why_not=published_words)
    kept = "kept" if keeps_shared else published_words
    _refuse(corpus, _overlaps(corpus, place), why_not=kept, advice=_DROP if corpus.files else "")
    if repeats := _repeats(corpus, place):
        _warn_once(f"{corpus.task.name}: {repeats} (kept)")
    return corpus


def _refuse(corpus: Corpus, fault: str | None, *, why_not: str, advice: str = "") -> None:
    """Raises for a fault, or logs it where there is a reason not to."""
    if fault and not why_not:
        raise CorpusError(f"{fault}{advice}")
    if fault:
        _warn_once(f"{corpus.task.name}: {fault} ({why_not})")


@cache
def _warn_once(message: str) -> None:
    # A sweep may load the same corpus for every pack.
    log.warning(message)


def _check_labels(task: Task, name: str, split: LabelledTexts, place: Place) -> None:
    low, high = task.label_range or (-math.inf, math.inf)
    for row, label in enumerate(split.labels):
        if task.is_regression:
            known = math.isfinite(label) and low <= label <= high
        else:
            known = label in range(task.n_labels)
        if not known:
            allowed = f"{low} ... {high}" if task.is_regression else f"0 ... {task.n_labels - 1}"
            raise CorpusError(
                f"{place(name, row)}: column {task.label!r} must be within {allowed}, but got "
                f"{label!r}"
            )


def _empty_texts(corpus: Corpus, place: Place) -> str | None:
    columns = (corpus.task.text, corpus.task.text_pair)
    empty = [
        f"{place(name, row)}, column {column!r}"
        for name, split in corpus.splits()
        for column, texts in zip(columns, (split.texts, split.pairs or ()), strict=True)
        for row, text in enumerate(texts)
        if not text.strip()
    ]
    return f"empty texts: {len(empty)}, the first in {empty[0]}" if empty else None


def _standings(corpus: Corpus) -> Iterator[list[tuple[str, int]]]:
    """Yields split and row of all places of a text or pair that stands in more than one."""
    places: dict[tuple[str, str], list[tuple[str, int]]] = defaultdict(list)
    for name, split in corpus.splits():
        for row, text in enumerate(split.texts):
            places[text, split.pairs[row] if split.pairs else ""].append((name, row))
    yield from (found for found in places.values() if len(found) > 1)


def _overlaps(corpus: Corpus, place: Place) -> str | None:
    shared = [found for found in _standings(corpus) if len({name for name, _ in found}) > 1]
    if not shared:
        return None
    first, *others = shared[0]
    other = next(spot for spot in others if spot[0] != first[0])
    return (
        f"{_kind(corpus)} that stand in more than one split: {len(shared)}, the first being "
        f"{_words(corpus, first)} in {place(*first)} and {place(*other)}"
    )


def _repeats(corpus: Corpus, place: Place) -> str | None:
    doubles = [
        spots
        for found in _standings(corpus)
        for name in dict.fromkeys(n for n, _ in found)
        if len(spots := [spot for spot in found if spot[0] == name]) > 1
    ]
    if not doubles:
        return None
    first, second, *_ = doubles[0]
    return (
        f"{_kind(corpus)} that stand more than once in one split: {len(doubles)}, the first being "
        f"{_words(corpus, first)} in {place(*first)} and {place(*second)}"
    )


def _kind(corpus: Corpus) -> str:
    return "texts" if corpus.task.text_pair is None else "pairs"


def _words(corpus: Corpus, spot: tuple[str, int]) -> str:
    split, row = spot
    return dict(corpus.splits())[split].words(row)
