import logging
import subprocess
import sys
from dataclasses import replace

import pytest

from lora_sweep.data import corpus as corpus_module
from lora_sweep.data.corpus import Corpus, LabelledTexts, check_corpus
from lora_sweep.data.tasks import TASKS
from lora_sweep.errors import CorpusError

TRAIN = LabelledTexts(("One.", "Two.", "Three."), None, (0, 1, 1))
DEV = LabelledTexts(("Four.", "Five."), None, (1, 0))
CORPUS = Corpus(TASKS["cola"], TRAIN, {"dev": DEV}, None, ("dev",))
SCORED = Corpus(
    TASKS["stsb"],
    LabelledTexts(("a", "b"), ("c", "d"), (0.0, 5.0)),
    {"dev": LabelledTexts(("e",), ("f",), (2.5,))},
    None,
    ("dev",),
)


@pytest.fixture(autouse=True)
def forget_warnings() -> None:
    corpus_module._warn_once.cache_clear()


def with_train(*rows: tuple[str, int]) -> Corpus:
    texts, labels = zip(*rows, strict=True)
    return replace(CORPUS, train=LabelledTexts(texts, None, labels))


@pytest.mark.parametrize("corpus", [CORPUS, SCORED], ids=["classes", "regression"])
def test_good_corpus_comes_back_as_it_was(corpus: Corpus) -> None:
    assert check_corpus(corpus, published=False) is corpus


@pytest.mark.parametrize(
    ("corpus", "message"),
    [
        (replace(CORPUS, dev={"dev": LabelledTexts((), None, ())}), "split 'dev' has no rows"),
        (
            with_train(("One.", 1), ("Two.", 1)),
            "^train: column 'label' is 'acceptable' in every row: there is nothing to learn",
        ),
        (
            replace(SCORED, train=LabelledTexts(("a", "b"), ("c", "d"), (2.5, 2.5))),
            "^train: column 'label' is 2.5 in every row",
        ),
        (with_train(("One.", 1), ("Two.", 2)), r"train, row 2: column 'label' .* 0 \.\.\. 1"),
        (with_train(("One.", 0), ("Two.", -1)), "but got -1"),
        (
            with_train(("One.", 0), (" \t", 1)),
            "empty texts: 1, .* train, row 2, column 'sentence'",
        ),
        (with_train(("Five.", 0), ("Two.", 1)), "1, .*'Five.' in train, row 1 and dev, row 2"),
    ],
    ids=[
        "no_rows",
        "one_class",
        "one_number",
        "label_above",
        "label_below",
        "empty_text",
        "overlap",
    ],
)
def test_check_refuses_broken_corpus(corpus: Corpus, message: str) -> None:
    with pytest.raises(CorpusError, match=message):
        check_corpus(corpus, published=False)


@pytest.mark.parametrize("label", [-0.1, 5.1, float("nan"), float("inf")])
def test_check_refuses_score_out_of_range(label: float) -> None:
    dev = {"dev": LabelledTexts(("e",), ("f",), (label,))}
    with pytest.raises(CorpusError, match=r"dev, row 1: .* within 0.0 \.\.\. 5.0"):
        check_corpus(replace(SCORED, dev=dev), published=False)


def test_check_looks_at_second_sentences() -> None:
    dev = {"dev": LabelledTexts(("e",), ("",), (1.0,))}
    with pytest.raises(CorpusError, match="dev, row 1, column 'sentence2'"):
        check_corpus(replace(SCORED, dev=dev), published=False)


def test_pairs_that_share_one_sentence_differ() -> None:
    dev = {"dev": LabelledTexts(("a",), ("x",), (1.0,))}
    check_corpus(replace(SCORED, dev=dev), published=False)


def test_pairs_are_named_by_both_halves(caplog: pytest.LogCaptureFixture) -> None:
    corpus_module._warn_once.cache_clear()
    twice = LabelledTexts(("a", "a", "a"), ("x", "y" * 90, "y" * 90), (1.0, 2.0, 3.0))
    dev = {"dev": LabelledTexts(("a", "b"), ("x", "x"), (1.0, 2.0))}
    task = replace(SCORED.task, text_pair="second")
    paired = Corpus(task, twice, dev, None, ("dev",))
    with pytest.raises(CorpusError) as caught:
        check_corpus(paired, published=False)
    assert str(caught.value) == (
        "pairs that stand in more than one split: 1, the first being 'a' with 'x' in train, row 1 "
        "and dev, row 1"
    )
    check_corpus(paired, published=False, keeps_shared=True)
    shown = "y" * 80
    assert f"the first being 'a' with '{shown}' in train, row 2 and train, row 3" in caplog.text


def test_published_overlap_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(2):
        check_corpus(with_train(("Five.", 0), ("Two.", 1)), published=True)
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert "more than one split: 1" in caplog.text


def test_repeat_in_one_split_is_kept_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    check_corpus(with_train(("One.", 0), ("Two.", 1), ("One.", 1)), published=False)
    assert "'One.' in train, row 1 and train, row 3 (kept)" in caplog.text


@pytest.mark.parametrize(
    "changed",
    [
        with_train(("One.", 0), ("Two.", 1), ("Three.", 0)),
        with_train(("One.", 0), ("Two.", 1), ("Three", 1)),
        with_train(("One.", 0), ("Three.", 1), ("Two.", 1)),
        replace(CORPUS, dev={"other": DEV}, headline_parts=("other",)),
        replace(CORPUS, selection=DEV),
        replace(CORPUS, task=TASKS["sst2"]),
    ],
    ids=["label", "text", "order", "part", "selection", "task"],
)
def test_fingerprint_changes_with_contents(changed: Corpus) -> None:
    assert changed.fingerprint != CORPUS.fingerprint


def test_fingerprint_follows_the_headline_metric_alone() -> None:
    def measured(*metrics: str) -> Corpus:
        return replace(CORPUS, task=replace(CORPUS.task, metrics=metrics))

    assert measured("f1", "accuracy").fingerprint == measured("f1").fingerprint
    assert measured("f1").fingerprint != measured("accuracy").fingerprint


def test_fingerprint_tells_where_texts_end() -> None:
    one = replace(CORPUS, train=LabelledTexts(('a", "b', "c"), None, (0, 1)))
    other = replace(CORPUS, train=LabelledTexts(("a", 'b", "c'), None, (0, 1)))
    assert one.fingerprint != other.fingerprint


def test_fingerprint_is_the_same_in_another_process() -> None:
    code = (
        "from lora_sweep.data.corpus import *; from lora_sweep.data.tasks import TASKS;"
        "train = LabelledTexts(('One.', 'Two.', 'Three.'), None, (0, 1, 1));"
        "dev = {'dev': LabelledTexts(('Four.', 'Five.'), None, (1, 0))};"
        "print(Corpus(TASKS['cola'], train, dev, None, ('dev',)).fingerprint)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == CORPUS.fingerprint


def test_rows_come_in_the_order_asked() -> None:
    split = LabelledTexts(("a", "b", "c"), ("x", "y", "z"), (0, 1, 2))
    assert split.rows([2, 0]) == LabelledTexts(("c", "a"), ("z", "x"), (2, 0))
