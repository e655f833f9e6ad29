"""Subsets of a corpus's training rows: a held-out selection split, a smaller train.

Both keep every class's share, are fixed by a seed, and leave the rows in their order. A sentence
that stands twice in train may end up on both sides.
"""

from dataclasses import replace

from lora_sweep.data.corpus import Corpus
from lora_sweep.errors import SettingError


def hold_out_selection(corpus: Corpus, *, fraction: float, seed: int) -> Corpus:
    """Returns the corpus with a share of train moved to `selection`.

    Args:
        corpus: one without a selection split.
        fraction: share of train, 0 <= fraction < 1, rounded up to whole rows; 0 moves nothing.
        seed: fixes which rows; every class keeps its share.

    Raises:
        SettingError: a fraction outside its range, or one that leaves a class without rows.
        ValueError: the corpus has a selection split already.
    """
    if not 0 <= fraction < 1:
        raise SettingError(f"fraction must be within 0 <= fraction < 1, but got {fraction}")
    if corpus.selection is not None:
        raise ValueError("the corpus must have no selection split yet")
    if fraction == 0:
        return corpus
    kept, held_out = _divide(corpus, fraction, seed)
    train = corpus.train
    return replace(corpus, train=train.rows(kept), selection=train.rows(held_out))


def limit_train(corpus: Corpus, n_train: int | None, seed: int) -> Corpus:
    """Returns the corpus with no more than that many training rows, for quick trials.

    Args:
        corpus: any.
        n_train: rows to keep, at least 1; None, or as many as there are, keeps all.
        seed: fixes which rows; every class keeps its share.

    Raises:
        SettingError: fewer rows than 1, or than classes.
    """
    if n_train is None:
        return corpus
    if n_train < 1:
        raise SettingError(f"n_train must be at least 1, but got {n_train}")
    if n_train >= len(corpus.train):
        return corpus
    kept, _ = _divide(corpus, len(corpus.train) - n_train, seed)
    return replace(corpus, train=corpus.train.rows(kept))


def _divide(corpus: Corpus, held_out: float | int, seed: int) -> tuple[list[int], list[int]]:
    """Returns row numbers to keep and to hold out, both in the order of train."""
    from sklearn.model_selection import train_test_split

    labels = None if corpus.task.is_regression else corpus.train.labels
    every_row = range(len(corpus.train))
    try:
        kept, rest = train_test_split(
            every_row, test_size=held_out, random_state=seed, stratify=labels
        )
    except ValueError as error:
        raise SettingError(
            "data.selection_fraction must leave every label in both parts, but got a part of "
            f"{held_out} of {len(corpus.train)} training rows"
        ) from error
    return sorted(kept), sorted(rest)
