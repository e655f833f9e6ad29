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
        SettingError: a fraction outside its range, or one that leaves train without a class.
        ValueError: the corpus has a selection split already.
    """
    if not 0 <= fraction < 1:
        raise SettingError(f"fraction must be within 0 <= fraction < 1, but got {fraction}")
    if corpus.selection is not None:
        raise ValueError("the corpus must have no selection split yet")
    if fraction == 0:
        return corpus
    divided, train = _divide(corpus, fraction, seed), corpus.train
    if divided is None:
        raise SettingError(
            "data.selection_fraction must leave every label in both parts, but got a part of "
            f"{fraction} of {len(train)} training rows"
        )
    kept, held_out = divided
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
    n_rows = len(corpus.train)
    if n > n_rows:
        raise SettingError(f"data.n_train must be at most the corpus's {n_rows}, but got {n}")
    if n == n_rows:
        return corpus
    divided = _divide(corpus, n_rows - n, seed)
    if divided is None:
        raise SettingError(
            f"data.n_train must leave every label in train, but got {n} of {n_rows}"
        )
    return replace(corpus, train=corpus.train.rows(divided[0]))


def _divide(corpus: Corpus, n_or_share: float, seed: int) -> tuple[list[int], list[int]] | None:
    """Returns row numbers to keep and to hold out, both in the order of train.

    None where what is kept would not have every class, or numbers that differ.

    Args:
        corpus: any.
        n_or_share: to hold out: a number of rows (int), or a share of them (float).
        seed: fixes which.
    """
    from sklearn.model_selection import train_test_split

    labels, is_regression = corpus.train.labels, corpus.task.is_regression
    try:
        kept, rest = train_test_split(
            range(len(labels)),
            test_size=n_or_share,
            random_state=seed,
            stratify=None if is_regression else labels,
        )
    except ValueError:  # a class of one row, or parts too small for a row of each class
        return None
    n_kept = len({labels[row] for row in kept})
    is_whole = n_kept > 1 if is_regression else n_kept == len(set(labels))
    return (sorted(kept), sorted(rest)) if is_whole else None
