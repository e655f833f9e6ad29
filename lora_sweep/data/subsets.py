"""Parts of a corpus's rows: a smaller train or dev, or a split held out to choose the epoch on.

All keep every class's share, are fixed by a seed, and leave the rows in their order. A sentence
that stands twice in train may end up on both sides of a selection split.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from lora_sweep.data.corpus import Corpus, LabelledTexts
from lora_sweep.errors import SettingError

SUBSET_SEED = 0
"""The selection split is the same for all runs of a sweep."""


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
    divided, train = _divide_train(corpus, fraction, seed), corpus.train
    if divided is None:
        raise SettingError(
            "data.selection_fraction must leave every label in both parts, but got a part of "
            f"{fraction} of {len(train)} training rows"
        )
    kept, held_out = divided
    return replace(corpus, train=train.rows(kept), selection=train.rows(held_out))


def take_part(corpus: Corpus, *, n_train: int | None, n_dev: int | None, seed: int) -> Corpus:
    """Returns the corpus with a part of its rows.

    Args:
        corpus: one without a selection split.
        n_train: rows of train to keep; None for all.
        n_dev: rows of all dev parts together to keep, as in `take_dev`; None for all.
        seed: fixes which.

    Raises:
        SettingError: there are fewer rows, or a class would be left without any.
    """
    if n_train is not None:
        corpus = take_train(corpus, n=n_train, seed=seed)
    if n_dev is not None:
        is_regression = corpus.task.is_regression
        dev = take_dev(corpus.dev, n=n_dev, seed=seed, is_regression=is_regression)
        corpus = replace(corpus, dev=dev)
    return corpus


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
    _check_enough("data.n_train", n, n_rows)
    if n == n_rows:
        return corpus
    divided = _divide_train(corpus, n_rows - n, seed)
    if divided is None:
        raise SettingError(
            f"data.n_train must leave every label in train, but got {n} of {n_rows}"
        )
    return replace(corpus, train=corpus.train.rows(divided[0]))


def take_dev(
    dev: Mapping[str, LabelledTexts], *, n: int, seed: int, is_regression: bool
) -> dict[str, LabelledTexts]:
    """Returns the dev parts with n rows in all.

    Args:
        dev: part name -> rows.
        n: rows to keep, over all parts.
        seed: fixes which; every part keeps its share, and every class its share of each part.
        is_regression: whether labels are numbers, which have no classes.

    Raises:
        SettingError: there are fewer rows, or a part would be left without a class that it has.
    """
    rows = [(part, row) for part, own in dev.items() for row in range(len(own))]
    _check_enough("data.n_dev", n, len(rows))
    if n == len(rows):
        return dict(dev)
    strata = [part if is_regression else f"{part} {dev[part].labels[row]}" for part, row in rows]
    divided = _divide(strata, len(rows) - n, seed)
    if divided is None or len({strata[i] for i in divided[0]}) < len(set(strata)):
        raise SettingError(
            f"data.n_dev must leave every label in every part of dev, but got {n} of {len(rows)}"
        )
    kept = [rows[i] for i in divided[0]]
    return {
        part: own.rows([row for name, row in kept if name == part]) for part, own in dev.items()
    }


def _check_enough(setting: str, n: int, n_rows: int) -> None:
    if n > n_rows:
        raise SettingError(f"{setting} must be at most the corpus's {n_rows}, but got {n}")


def _divide_train(
    corpus: Corpus, n_or_share: float, seed: int
) -> tuple[list[int], list[int]] | None:
    """Rows of train to keep and to hold out, in order.

    None where what is kept would not have every class, or numbers that differ.
    """
    labels, is_regression = corpus.train.labels, corpus.task.is_regression
    divided = _divide([0] * len(labels) if is_regression else labels, n_or_share, seed)
    if divided is None:
        return None
    n_kept = len({labels[row] for row in divided[0]})
    is_whole = n_kept > 1 if is_regression else n_kept == len(set(labels))
    return divided if is_whole else None


def _divide(
    strata: Sequence[object], n_or_share: float, seed: int
) -> tuple[list[int], list[int]] | None:
    """Returns row numbers to keep and to hold out, both in order; every stratum keeps its share.

    None where a stratum has one row only, or a part is too small for a row of each.

    Args:
        strata: that of every row.
        n_or_share: to hold out: a number of rows (int), or a share of them (float).
        seed: fixes which.
    """
    from sklearn.model_selection import train_test_split

    n_strata = len(set(strata))
    # Fewer rows to hold out than there are strata: they can't be of each, and need not be.
    is_small = isinstance(n_or_share, int) and n_or_share < n_strata
    try:
        kept, rest = train_test_split(
            range(len(strata)),
            test_size=n_or_share,
            random_state=seed,
            stratify=strata if n_strata > 1 and not is_small else None,
        )
    except ValueError:
        return None
    return sorted(kept), sorted(rest)
