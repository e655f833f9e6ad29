"""What a run is judged by must be defined: on the headline parts and the selection split."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from lora_sweep.config.run import RunConfig
from lora_sweep.data.corpus import Corpus, LabelledTexts
from lora_sweep.data.headline import check_headline
from lora_sweep.data.tasks import TASKS
from lora_sweep.errors import CorpusError
from lora_sweep.execution.execute import check_inputs


def split(*labels: float) -> LabelledTexts:
    return LabelledTexts(tuple(map(str, range(len(labels)))), None, labels)


def judged(*metrics: str, **parts: LabelledTexts) -> Corpus:
    """Acceptability judged on all the parts, which were read from `PART.tsv`."""
    task = replace(TASKS["cola"], metrics=metrics)
    files = {name: Path(f"{name}.tsv") for name in ("train", *parts)}
    return Corpus(task, split(0, 1), parts, None, tuple(parts), files)


@pytest.mark.parametrize(
    ("corpus", "message"),
    [
        (
            judged("matthews_correlation", dev=split(1, 1, 1)),
            r"^dev \(dev.tsv\): the reported metric matthews_correlation is undefined, for it "
            r"needs labels that differ, but column 'label' has only 'acceptable' in 3 rows$",
        ),
        (
            judged("matthews_correlation", near=split(0), far=split(0, 0)),
            r"^near and far \(near.tsv, far.tsv\): .* only 'unacceptable' in 3 rows",
        ),
        (judged("f1", dev=split(0, 0)), "needs the positive label, .* only 'unacceptable'"),
        (
            replace(judged("f1", dev=split(0, 1)), selection=split(0)),
            r"^selection, held out of train \(train.tsv\): .* f1 is undefined",
        ),
    ],
    ids=["one_class", "two_parts", "no_positive", "selection"],
)
def test_undefined_headline_is_refused(corpus: Corpus, message: str) -> None:
    with pytest.raises(CorpusError, match=message):
        check_headline(corpus)


def test_constant_numbers_have_no_correlation() -> None:
    corpus = Corpus(TASKS["stsb"], split(0.0, 5.0), {"dev": split(2.5, 2.5)}, None, ("dev",))
    message = "dev: the reported metric pearson is undefined, .* has only 2.5 in 2 rows"
    with pytest.raises(CorpusError, match=message):
        check_headline(corpus)


@pytest.mark.parametrize(
    "corpus",
    [
        judged("accuracy", "matthews_correlation", dev=split(1, 1)),
        judged("matthews_correlation", near=split(0), far=split(1)),
        replace(judged("f1", dev=split(1, 1), other=split(0)), headline_parts=("dev",)),
    ],
    ids=["another_metric", "single_parts", "another_part"],
)
def test_what_is_not_reported_may_be_undefined(corpus: Corpus) -> None:
    assert check_headline(corpus) is corpus


def test_run_does_not_start_on_an_undefined_headline(
    tiny_run: list[str], tmp_path: Path, composed: Callable[..., RunConfig]
) -> None:
    dev = tmp_path / "one.tsv"
    dev.write_text("text\tlabel\na cat\t1\nthe cat\t1\n")
    config = composed(*tiny_run, f"data.dev={dev}", "data.metric=matthews_correlation")
    with pytest.raises(CorpusError, match="matthews_correlation is undefined"):
        check_inputs(config)
    check_inputs(composed(*tiny_run, f"data.dev={dev}", "data.metric=accuracy"))


def test_selection_of_one_class_is_refused(
    tiny_run: list[str], tmp_path: Path, composed: Callable[..., RunConfig]
) -> None:
    rows = [f"a cat number {row}\t{int(row % 10 == 0)}" for row in range(20)]
    train = tmp_path / "train.tsv"
    train.write_text("text\tlabel\n" + "\n".join(rows) + "\n")
    own = (f"data.train={train}", "data.selection_fraction=0.1")  # 2 rows, of 1 in 10 none
    with pytest.raises(
        CorpusError, match=r"selection, held out of train \(.*: .* f1 is undefined"
    ):
        check_inputs(composed(*tiny_run, *own, "data.metric=f1"))
