from dataclasses import replace

import pytest

from lora_sweep.data.corpus import Corpus, LabelledTexts
from lora_sweep.data.subsets import hold_out_selection, take_dev, take_part, take_train
from lora_sweep.data.tasks import TASKS
from lora_sweep.errors import SettingError

# 20 rows, 5 of class 0: text i has class 0 where i is a multiple of 4.
TRAIN = LabelledTexts(
    tuple(f"Text {i:02}." for i in range(20)), None, tuple(min(i % 4, 1) for i in range(20))
)
CORPUS = Corpus(TASKS["cola"], TRAIN, {"dev": TRAIN.rows([0])}, None, ("dev",))


def test_selection_takes_its_share_of_every_class() -> None:
    divided = hold_out_selection(CORPUS, fraction=0.2, seed=0)
    assert divided.selection is not None
    assert sorted(divided.selection.labels) == [0, 1, 1, 1]
    assert len(divided.train) == 16


def test_part_of_train_keeps_every_class_and_the_order() -> None:
    part = take_train(CORPUS, n=8, seed=0).train
    assert sorted(part.labels) == [0, 0, 1, 1, 1, 1, 1, 1]
    assert list(part.texts) == sorted(part.texts) and set(part.texts) < set(TRAIN.texts)
    assert part == take_train(CORPUS, n=8, seed=0).train != take_train(CORPUS, n=8, seed=1).train
    assert take_train(CORPUS, n=20, seed=0) == CORPUS


def test_all_rows_but_one_can_be_taken() -> None:
    """What is left out is then of one class, and so no part with its share of every class."""
    part = take_train(CORPUS, n=19, seed=0).train
    assert len(part) == 19 and set(part.labels) == {0, 1}
    assert set(part.texts) < set(TRAIN.texts)


@pytest.mark.parametrize(
    ("n", "rule"),
    [(21, "be at most the corpus's 20, but got 21"), (1, "leave every label .* got 1")],
)
def test_part_of_train_that_cannot_be_is_refused(n: int, rule: str) -> None:
    with pytest.raises(SettingError, match=f"data.n_train must {rule}"):
        take_train(CORPUS, n=n, seed=0)


# 12 rows of class 0 and 4 of class 1 near; 4 of each far
NEAR = LabelledTexts(tuple(f"near {i:02}" for i in range(16)), None, (0, 0, 0, 1) * 4)
FAR = LabelledTexts(tuple(f"far {i}" for i in range(8)), None, (0, 1) * 4)
DEV = {"near": NEAR, "far": FAR}


@pytest.mark.parametrize("seed", range(3))
def test_part_of_dev_keeps_every_parts_classes_and_the_order(seed: int) -> None:
    taken = take_dev(DEV, n=12, seed=seed, is_regression=False)
    assert {name: sorted(part.labels) for name, part in taken.items()} == {
        "near": [0] * 6 + [1] * 2,
        "far": [0, 0, 1, 1],
    }
    for name, part in taken.items():
        assert list(part.texts) == sorted(part.texts) and set(part.texts) < set(DEV[name].texts)
    assert taken == take_dev(DEV, n=12, seed=seed, is_regression=False)
    assert taken != take_dev(DEV, n=12, seed=seed + 1, is_regression=False)


def test_all_rows_of_dev_but_one_can_be_taken() -> None:
    taken = take_dev(DEV, n=23, seed=0, is_regression=False)
    assert sum(len(part) for part in taken.values()) == 23
    assert all(set(part.labels) == {0, 1} for part in taken.values())


def test_part_of_dev_of_all_rows_is_dev() -> None:
    assert take_dev(DEV, n=24, seed=0, is_regression=False) == DEV


@pytest.mark.parametrize(
    ("n", "rule"),
    [
        (25, "at most the corpus's 24, but got 25"),
        (3, "leave every label in every part of dev, but got 3 of 24"),
    ],
)
def test_part_of_dev_that_cannot_be_is_refused(n: int, rule: str) -> None:
    with pytest.raises(SettingError, match=f"data.n_dev must (be )?{rule}"):
        take_dev(DEV, n=n, seed=0, is_regression=False)


def test_numbers_are_taken_from_every_part_alone() -> None:
    numbers = {
        name: LabelledTexts(part.texts, None, tuple(i / 7 for i in range(len(part))))
        for name, part in DEV.items()
    }
    taken = take_dev(numbers, n=12, seed=0, is_regression=True)
    assert [len(part) for part in taken.values()] == [8, 4]


def test_parts_of_both_are_taken_by_one_seed() -> None:
    corpus = replace(CORPUS, dev=DEV, headline_parts=("near",))
    taken = take_part(corpus, n_train=8, n_dev=12, seed=3)
    assert taken.train == take_train(corpus, n=8, seed=3).train
    assert taken.dev == take_dev(DEV, n=12, seed=3, is_regression=False)
    assert take_part(corpus, n_train=None, n_dev=None, seed=3) == corpus


def test_selection_and_train_are_the_old_train() -> None:
    divided = hold_out_selection(CORPUS, fraction=0.2, seed=0)
    assert divided.selection is not None
    assert sorted(divided.train.texts + divided.selection.texts) == list(TRAIN.texts)
    assert list(divided.train.texts) == sorted(divided.train.texts)
    assert divided.dev == CORPUS.dev


def test_selection_is_fixed_by_the_seed() -> None:
    first, again, other = (
        hold_out_selection(CORPUS, fraction=0.2, seed=seed) for seed in (3, 3, 4)
    )
    assert first == again
    assert first.selection != other.selection


def test_fraction_zero_changes_nothing() -> None:
    assert hold_out_selection(CORPUS, fraction=0.0, seed=0) is CORPUS


@pytest.mark.parametrize("fraction", [-0.1, 1.0, float("nan")])
def test_selection_refuses_fraction_out_of_range(fraction: float) -> None:
    with pytest.raises(SettingError, match="fraction must be within"):
        hold_out_selection(CORPUS, fraction=fraction, seed=0)


def test_selection_refuses_too_few_rows() -> None:
    with pytest.raises(SettingError, match=r"a part of 0\.05 of 20 training rows"):
        hold_out_selection(CORPUS, fraction=0.05, seed=0)


def test_train_keeps_every_class() -> None:
    # Of 2 rows that are left of 20, a class's share of 1 in 10 comes to none.
    rare = LabelledTexts(TRAIN.texts, None, (0,) * 18 + (1,) * 2)
    corpus = replace(CORPUS, train=rare)
    with pytest.raises(SettingError, match=r"every label in both parts, but got a part of 0\.9"):
        hold_out_selection(corpus, fraction=0.9, seed=0)
    with pytest.raises(SettingError, match="every label in train, but got 2 of 20"):
        take_train(corpus, n=2, seed=0)


def test_train_keeps_numbers_that_differ() -> None:
    numbers = LabelledTexts(("a", "b", "c"), ("d", "e", "f"), (1.0, 1.0, 2.0))
    corpus = Corpus(TASKS["stsb"], numbers, {"dev": numbers}, None, ("dev",))
    taken = 0
    for seed in range(12):  # the one row that differs is held out by some of them
        try:
            divided = hold_out_selection(corpus, fraction=0.3, seed=seed)
        except SettingError:
            taken += 1
        else:
            assert set(divided.train.labels) == {1.0, 2.0}
    assert 0 < taken < 12


def test_selection_is_held_out_once() -> None:
    with pytest.raises(ValueError, match="no selection split yet"):
        hold_out_selection(replace(CORPUS, selection=TRAIN), fraction=0.2, seed=0)


def test_regression_needs_no_classes() -> None:
    scores = LabelledTexts(("a", "b", "c", "d"), ("e", "f", "g", "h"), (0.5, 1.5, 2.5, 3.5))
    corpus = Corpus(TASKS["stsb"], scores, {"dev": scores}, None, ("dev",))
    divided = hold_out_selection(corpus, fraction=0.25, seed=1)
    assert divided.selection is not None
    assert len(divided.selection) == 1 and len(divided.train) == 3
