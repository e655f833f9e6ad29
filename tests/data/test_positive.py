"""The label that F1 is of becomes class 1, wherever the corpus comes from."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from lora_sweep.config.data import FilesConfig, GlueConfig
from lora_sweep.config.run import RunConfig
from lora_sweep.data import sources
from lora_sweep.data.corpus import Corpus, LabelledTexts
from lora_sweep.data.positive import with_positive
from lora_sweep.data.tasks import TASKS
from lora_sweep.errors import SettingError
from lora_sweep.execution.content import runs_of
from lora_sweep.execution.execute import run_cell
from lora_sweep.report.table.collect import collect_runs
from lora_sweep.status.folders import SweepFolder
from lora_sweep.status.show import status_text
from lora_sweep.status.summary import sweep_status
from lora_sweep.store.finished import read_finished
from lora_sweep.store.predictions import read_predictions
from lora_sweep.store.run_folder import PREDICTIONS_FILE

CORPUS = Corpus(
    TASKS["mrpc"],
    LabelledTexts(("a", "b", "c"), ("d", "e", "f"), (0, 1, 1)),
    {"dev": LabelledTexts(("g", "h"), ("i", "j"), (1, 0))},
    None,
    ("dev",),
)


def test_label_becomes_class_1() -> None:
    swapped = with_positive(CORPUS, "not_equivalent")
    assert swapped.task.label_names == ("equivalent", "not_equivalent")
    assert swapped.train == replace(CORPUS.train, labels=(1, 0, 0))
    assert swapped.dev["dev"].labels == (0, 1)
    assert with_positive(swapped, "equivalent") == CORPUS


@pytest.mark.parametrize("label", [None, "equivalent"])
def test_corpus_that_has_it_already_stays(label: str | None) -> None:
    assert with_positive(CORPUS, label) is CORPUS


@pytest.mark.parametrize(
    ("task", "label", "message"),
    [
        ("mrpc", "yes", "must be one of not_equivalent, equivalent, but got yes"),
        (
            "rte",
            "entailment",
            r"must be null where F1 is none of the metrics \(accuracy, macro_f1\)",
        ),
    ],
)
def test_label_that_can_not_be_positive_is_refused(task: str, label: str, message: str) -> None:
    with pytest.raises(SettingError, match=f"data.positive {message}"):
        with_positive(replace(CORPUS, task=TASKS[task]), label)


def test_glue_takes_the_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "load_glue", lambda _: CORPUS)
    config = GlueConfig("mrpc", "mrpc", 64, 0.0, positive="not_equivalent")
    assert config.load().task.label_names[1] == "not_equivalent"


def test_files_take_the_setting_however_it_is_written(tiny_corpus: Path) -> None:
    config = FilesConfig(
        "files", "files", 64, 0.0, path=str(tiny_corpus), train="train.tsv", dev="dev.tsv",
        text="text", label="label", regression=False, positive=" 0.0",
    )  # fmt: skip
    assert config.load().task.label_names == ("1", "0")


def test_f1_of_a_run_is_of_that_label(
    tiny_run: list[str],
    tiny_corpus: Path,
    composed: Callable[..., RunConfig],
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO")
    config = composed(*tiny_run, "data.metric=f1", "data.positive=0", "training.epochs=1")
    run_cell(config)
    (name,) = runs_of(config)
    folder = Path(config.paths.outputs, "tiny", name)
    record = read_finished(folder).record
    predicted = read_predictions(folder / PREDICTIONS_FILE).parts["dev"][0]
    written = [record.label_names[label] for label in predicted]
    lines = (tiny_corpus / "dev.tsv").read_text().splitlines()[1:]
    labels = [line.split("\t")[1] for line in lines]
    # F1 of 0, counted: 2 tp / (2 tp + fp + fn)
    tp = sum(own == true == "0" for own, true in zip(written, labels, strict=True))
    n_wrong = sum(own != true for own, true in zip(written, labels, strict=True))
    assert record.reported_metric == pytest.approx(2 * tp / (2 * tp + n_wrong))
    (words,) = collect_runs(folder.parent)["metric_words"]
    assert words == "f1 of label 0"
    value, log = record.reported_metric, "\n".join(caplog.messages)
    assert f", f1 of label 0 {value:.4f}" in log
    assert f": f1 of label 0: best {100 * value:.2f} (epoch 1)" in log
    (cell,) = sweep_status(SweepFolder(folder.parent)).best
    assert (cell.metric, cell.metric_words) == ("f1", "f1 of label 0")
    console = Console(width=200)
    with console.capture() as shown:
        console.print(status_text(sweep_status(SweepFolder(folder.parent))))
    assert f"the only cell: f1 of label 0 {100 * value:.2f}, median of 1" in shown.get()
