"""Parts of a corpus's training rows: a smaller train, or a split held out to choose the epoch on.

Either keeps every class's share, is fixed by a seed, and leaves the rows in their order. A
sentence that stands twice in train may end up on both sides of a selection split.
"""

from dataclasses import replace

from lora_sweep.data.corpus import Corpus
from lora_sweep.errors import SettingError

SUBSET_SEED = 0
"""The selection split, and a part of train, are the same for all runs of a sweep."""


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


def take_train(corpus: Corpus, *, n: int, seed: int) -> Corpus:
    """Returns the corpus with n of its training rows.

    Args:
        corpus: any.
        n: rows to keep.
        seed: fixes which; every class keeps its share.

    Raises:
        SettingError: there are fewer rows, or a class would be left without any.
    """
    from sklearn.model_selection import train_test_split

    n_rows = len(corpus.train)
    if n > n_rows:
        raise SettingError(f"data.n_train must be at most the corpus's {n_rows}, but got {n}")
    if n == n_rows:
        return corpus
    labels = None if corpus.task.is_regression else corpus.train.labels
    try:
        kept, _ = train_test_split(range(n_rows), train_size=n, random_state=seed, stratify=labels)
    except ValueError as error:
        raise SettingError(
            f"data.n_train must leave every label in train, but got {n} of {n_rows}"
        ) from error
    return replace(corpus, train=corpus.train.rows(sorted(kept)))


def _divide(corpus: Corpus, fraction: float, seed: int) -> tuple[list[int], list[int]]:
    """Returns row numbers to keep and to hold out, both in the order of train."""
    from sklearn.model_selection import train_test_split

    labels = None if corpus.task.is_regression else corpus.train.labels
    every_row = range(len(corpus.train))
    try:
        kept, rest = train_test_split(
            every_row, test_size=fraction, random_state=seed, stratify=labels
        )
    except ValueError as error:
        raise SettingError(
            "data.selection_fraction must leave every label in both parts, but got a part of "
            f"{fraction} of {len(corpus.train)} training rows"
        ) from error
    return sorted(kept), sorted(rest)
