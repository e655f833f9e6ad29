"""Evaluations: the run's own metrics on its own data, other data, and intervals that cover."""

import json
import shutil
import statistics
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest

from lora_sweep.commands.evaluate import main
from lora_sweep.config.data import (
    ColaConfig,
    FilesConfig,
    GlueConfig,
    MinimalPairsConfig,
    recorded_data,
)
from lora_sweep.config.run import RunConfig
from lora_sweep.errors import SettingError
from lora_sweep.evaluate.cells import cells_of, cells_table
from lora_sweep.evaluate.score import Score
from lora_sweep.evaluate.sources import data_parts
from lora_sweep.execution.content import runs_of
from lora_sweep.execution.execute import run_cell
from lora_sweep.export.card import model_card
from lora_sweep.export.write import write_export
from lora_sweep.report.statistics.dev_noise import examples_interval
from lora_sweep.store.finished import read_finished
from lora_sweep.trained.about import About
from lora_sweep.trained.adapted import base_of
from lora_sweep.trained.open import open_adapter
from lora_sweep.vocabulary import CLASSIFIER_KINDS

from ..conftest import sentences

pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")


def scores(capsys: pytest.CaptureFixture[str], *arguments: object) -> dict[str, float | None]:
    """Metric -> value, None for an undefined one, of a command that succeeds."""
    assert main([*map(str, arguments), "--json"]) == 0
    return {score["metric"]: score["value"] for score in json.loads(capsys.readouterr().out)}


@pytest.mark.parametrize("what", ["bert", "roberta", "deberta", "mean", "fixed", "pairs"])
def test_own_data_gives_the_recorded_metrics(
    what: str, trained_runs: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    expected = read_finished(trained_runs[what]).record.reported_evaluation.metrics
    assert scores(capsys, trained_runs[what]) == pytest.approx(expected, abs=1e-12)


def test_own_data_in_part_gives_the_recorded_metrics(
    tiny_run: list[str], composed: Callable[..., RunConfig], capsys: pytest.CaptureFixture[str]
) -> None:
    config = composed(*tiny_run, "data.n_train=20", "data.n_dev=12", "data.seed=3", "init=fixed")
    run_cell(config)
    (name,) = runs_of(config)
    run = read_finished(Path(config.paths.outputs, "tiny", name))
    assert run.record.epochs[0].step == 2  # 20 texts in batches of 16
    found = scores(capsys, run.folder)
    assert found == pytest.approx(run.record.reported_evaluation.metrics, abs=1e-12)
    assert found["accuracy"] * 12 == pytest.approx(round(found["accuracy"] * 12))
    about = open_adapter(run.folder).about
    other = Path(config.data.path or "") / "other.tsv"
    other.write_text(
        "text\tlabel\n" + "".join(f"{text}\t{label}\n" for text, label in sentences(20))
    )
    for overrides, n in (([], 20), (["data.n_dev=10"], 10)):
        place = f"data.path={other.parent}"
        (part,) = data_parts(about, [f"data.dev={other.name}", place, *overrides]).parts.values()
        assert len(part.texts) == n


def test_undefined_metric_is_said_and_no_error(
    trained_runs: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "one.csv").write_text("text,label\ncat sees,1\ndog sees,1\n")
    command = [str(trained_runs["bert"]), "--input", str(tmp_path / "one.csv")]
    found = scores(capsys, *command)
    assert found["matthews_correlation"] is None
    assert isinstance(found["accuracy"], float)
    assert main(command) == 0
    (line,) = [one for one in capsys.readouterr().out.splitlines() if "matthews" in one]
    assert [cell.strip() for cell in line.strip("|").split("|")][1:] == ["2", "undefined", ""]


def test_data_with_an_undefined_headline_can_be_evaluated_on(
    trained_runs: dict[str, Path],
    tiny_corpus: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "train.tsv").write_text((tiny_corpus / "train.tsv").read_text())
    (tmp_path / "dev.tsv").write_text("text\tlabel\ncat sees\t0\n")
    found = scores(capsys, trained_runs["bert"], f"data.path={tmp_path}")
    assert found["f1"] is None
    assert found["accuracy"] in (0.0, 1.0)


def test_part_of_one_class_is_undefined_wherever_it_is_shown(
    tiny_run: list[str],
    tmp_path: Path,
    composed: Callable[..., RunConfig],
    capsys: pytest.CaptureFixture[str],
) -> None:
    """CoLA's two parts, each of one class: together they have a correlation, alone they do not."""
    train = [f"x\t{label}\t\t{text}" for text, label in sentences(24)]
    (tmp_path / "in_domain_train.tsv").write_text("\n".join(train))
    for name, label in (("in_domain", 1), ("out_of_domain", 0)):
        (tmp_path / f"{name}_dev.tsv").write_text(f"x\t{label}\t\tcat {name}\n")
    others = [name for name in tiny_run if not name.startswith("data")]
    config = composed(*others, "data=cola", f"data.path={tmp_path}", "model.pooling=cls")
    run_cell(config)
    (name,) = runs_of(config)
    folder = Path(config.paths.outputs, "tiny", name)
    own = read_finished(folder).record.reported_evaluation.metrics
    assert own["matthews_correlation"] is not None
    assert (
        own["matthews_correlation/in_domain"] is own["matthews_correlation/out_of_domain"] is None
    )
    assert scores(capsys, folder) == pytest.approx(own)
    card = model_card(replace(open_adapter(folder).about, kind="merged"), None, None)
    assert "| matthews_correlation/in_domain | undefined |" in card


@pytest.mark.parametrize("kind", CLASSIFIER_KINDS)
def test_export_has_the_runs_metrics(
    kind: str,
    trained_runs: dict[str, Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    if kind == "peft":
        pytest.importorskip("peft")
    adapter = open_adapter(trained_runs["bert"])
    base = base_of(adapter.about, None)
    write_export(adapter, kind, tmp_path / "out", base=base, cache_dir=tmp_path)
    expected = adapter.about.metrics
    assert scores(capsys, tmp_path / "out") == pytest.approx(expected, abs=1e-12)


def test_file_gives_the_same_as_the_source(
    trained_runs: dict[str, Path], tiny_corpus: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = trained_runs["bert"]
    own = scores(capsys, run)
    assert scores(capsys, run, "--input", tiny_corpus / "dev.tsv") == own


def test_other_data_is_named_as_for_training(
    trained_runs: dict[str, Path], tiny_corpus: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    swapped = (
        "data=files",
        f"data.path={tiny_corpus}",
        "data.train=dev.tsv",
        "data.dev=train.tsv",
    )
    found = scores(capsys, trained_runs["bert"], *swapped)
    assert found == scores(capsys, trained_runs["bert"], "--input", tiny_corpus / "train.tsv")


def test_setting_alone_changes_the_runs_own_data(
    trained_runs: dict[str, Path], tiny_corpus: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = trained_runs["bert"]
    found = scores(capsys, run, "--device", "cpu", f"data.dev={tiny_corpus / 'train.tsv'}")
    assert found == scores(capsys, run, "--input", tiny_corpus / "train.tsv")


def test_training_rows_are_not_asked_of(
    trained_runs: dict[str, Path], tiny_corpus: Path, tmp_path: Path
) -> None:
    """Labels all the same, texts that stand in dev too, or no such file: nobody reads them."""
    about = open_adapter(trained_runs["bert"]).about
    dev = (tiny_corpus / "dev.tsv").read_text()
    (tmp_path / "dev.tsv").write_text(dev)
    expected = data_parts(about, []).parts
    assert len(expected["dev"]) == 24
    for train in ("text\tlabel\ncat sees\t1\ndog sees\t1\n", dev, None):
        if train is None:
            (tmp_path / "train.tsv").unlink()
        else:
            (tmp_path / "train.tsv").write_text(train)
        assert data_parts(about, [f"data.path={tmp_path}"]).parts == expected


def test_labels_of_another_corpus_are_renumbered(
    trained_runs: dict[str, Path], tmp_path: Path
) -> None:
    """The run's classes are `0` and `1`; minimal pairs number theirs alike, by other names."""
    about = open_adapter(trained_runs["bert"]).about
    for name in ("train", "dev"):
        rows = ["text,label", f"a {name} cat,1", f"the {name} dog,0", f"old {name} dog,0"]
        (tmp_path / f"{name}.csv").write_text("\n".join(rows) + "\n")
    places = (f"data.path={tmp_path}", "data.train=train.csv", "data.dev=dev.csv")
    assert data_parts(about, ["data=files", *places]).parts["dev"].labels == (1, 0, 0)
    with pytest.raises(SettingError, match=r"must have labels among the run's \(0, 1\).*unaccept"):
        data_parts(about, ["data=minimal_pairs"])


def test_names_of_labels_may_stand_in_another_order(
    trained_runs: dict[str, Path], tmp_path: Path
) -> None:
    import dataclasses

    own = open_adapter(trained_runs["bert"]).about
    about = dataclasses.replace(own, label_names=["yes", "no"])
    for name in ("train", "dev"):  # sorted, `no` is this corpus's class 0
        rows = ["text,label", f"a {name} cat,yes", f"the {name} dog,no", f"old {name} dog,no"]
        (tmp_path / f"{name}.csv").write_text("\n".join(rows) + "\n")
    places = (f"data.path={tmp_path}", "data.train=train.csv", "data.dev=dev.csv")
    assert data_parts(about, ["data=files", *places]).parts["dev"].labels == (0, 1, 1)


def test_other_dev_file_lies_where_the_command_is_started(
    trained_runs: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    about = open_adapter(trained_runs["bert"]).about
    monkeypatch.chdir(tmp_path)
    Path("dev.tsv").write_text("text\tlabel\na cat\t1\n")  # the run's own is called so, too
    for overrides in (["data.dev=dev.tsv"], ["data=files", "data.dev=dev.tsv"]):
        found = data_parts(about, overrides)
        assert (found.title, found.parts["dev"].texts) == ("dev.tsv", ("a cat",))


def test_own_files_that_have_changed_are_warned_of(
    tiny_run: list[str],
    tiny_corpus: Path,
    tmp_path: Path,
    composed: Callable[..., RunConfig],
    caplog: pytest.LogCaptureFixture,
) -> None:
    own = shutil.copytree(tiny_corpus, tmp_path / "corpus")
    config = composed(*tiny_run, f"data.path={own}", "init=fixed", "training.epochs=1")
    run_cell(config)
    (name,) = runs_of(config)
    about = open_adapter(Path(config.paths.outputs, "tiny", name)).about
    data_parts(about, [])
    assert "changed" not in caplog.text
    dev = config.data.files()["dev"]
    with dev.open("a") as stream:
        stream.write("one more cat\t1\n")
    data_parts(about, [])
    assert f"the files have changed since the run was trained on them: {dev.parent}" in caplog.text


@pytest.mark.parametrize("setting", ["max_length=8", "positive=0", "train=no.tsv", "n_train=10"])
def test_setting_that_chooses_no_text_is_refused(
    setting: str, trained_runs: dict[str, Path]
) -> None:
    about = open_adapter(trained_runs["bert"]).about
    rule = f"must be one that chooses texts, .*, but got data.{setting}"
    with pytest.raises(SettingError, match=rule):
        data_parts(about, [f"data.{setting}"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("lr=0.1",), "only data=NAME and data.SETTING=VALUE may be given here, but got lr=0.1"),
        (("data=nope",), "nope"),
        (("data.no_such=1",), "no_such"),
        (("data.n_dev=2",), "data.n_dev must be at least 10, but got 2"),
        (("--label", "x"), "--label must come with --input FILE"),
        (("data=cola", "--input", "x.csv"), "data must come by --input or by settings"),
        (("--input", "none.csv"), "none.csv: can't be read"),
    ],
)
def test_wrong_source_is_refused(
    arguments: tuple[str, ...],
    message: str,
    trained_runs: dict[str, Path],
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main([str(trained_runs["bert"]), *arguments]) == 1
    said = capsys.readouterr().err
    assert message in said
    assert len(said.splitlines()) <= 5


@pytest.mark.parametrize("kind", [MinimalPairsConfig, GlueConfig, ColaConfig, FilesConfig])
def test_recorded_data_is_the_one_of_the_run(kind: type) -> None:
    import dataclasses

    values = {"selection_fraction": 0.0, "max_length": 64, "regression": False}
    numbers = {"seed": 3, "n_train": 20, "n_dev": 20, "n_out_of_domain": 20}
    known = values | (numbers if kind is MinimalPairsConfig else {})
    names = [field.name for field in dataclasses.fields(kind)]
    optional = {"path": None, "n_train": None, "n_dev": None, "seed": 0}
    optional |= {"text_pair": None, "metric": None}
    own = kind(**{name: known.get(name, optional.get(name, name)) for name in names})
    settings = {f"data.{name}": value for name, value in dataclasses.asdict(own).items()}
    found = recorded_data(settings | {"lr": 0.1})
    assert found == own
    assert type(found) is kind


def test_table_shows_value_and_interval(
    trained_runs: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    run = read_finished(trained_runs["bert"])
    assert main([str(run.folder)]) == 0
    said = capsys.readouterr().out
    accuracy = run.record.reported_evaluation.metrics["accuracy"]
    line = next(line for line in said.splitlines() if line.startswith("| accuracy"))
    cells = [cell.strip() for cell in line.strip("|").split("|")]
    assert cells[:3] == ["accuracy", "24", f"{100 * accuracy:.2f}"]
    low, high = map(float, cells[3].split(" to "))
    assert low <= 100 * accuracy <= high


def two_cells(tiny_run: list[str], composed: Callable[..., RunConfig]) -> list[Path]:
    """Folders of three seeds with learnt and two with fixed ranks, the highest seed first."""
    folders = []
    for init, n_seeds in (("uniform", 3), ("fixed", 2)):
        config = composed(*tiny_run, f"init={init}", f"n_seeds={n_seeds}")
        run_cell(config)
        folders += [Path(config.paths.outputs, "tiny", name) for name in runs_of(config)]
    return folders[::-1]


def test_several_runs_give_each_cells_median(
    tiny_run: list[str],
    composed: Callable[..., RunConfig],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folders = two_cells(tiny_run, composed)
    records = [read_finished(folder).record for folder in folders]
    values = [record.reported_evaluation.metrics["accuracy"] for record in records]
    adapter = open_adapter(folders[0])  # an export stands for its run
    base = base_of(adapter.about, None)
    write_export(adapter, "loraxs", tmp_path / "one", base=base, cache_dir=tmp_path)
    capsys.readouterr()
    assert main([str(tmp_path / "one"), *map(str, folders[1:])]) == 0
    said = capsys.readouterr().out
    assert said.startswith("5 runs on ")
    rows = [[one.strip() for one in line.strip("|").split("|")] for line in said.splitlines()]
    first, second = [row for row in rows if row[0] == "accuracy"]
    for row, own in ((first, values[:2]), (second, values[2:])):
        by_seed = [f"{100 * value:.2f}" for value in own[::-1]]  # the folders go down
        median, std = 100 * statistics.median(own), 100 * statistics.stdev(own)
        assert row[2:] == [str(len(own)), f"{median:.2f} ± {std:.2f}", " ".join(by_seed)]
    assert first[1].startswith("fixed, rank ")
    assert second[1].startswith("Uniform, LR ")


def test_json_of_several_runs_names_each(
    tiny_run: list[str], composed: Callable[..., RunConfig], capsys: pytest.CaptureFixture[str]
) -> None:
    folders = two_cells(tiny_run, composed)
    capsys.readouterr()
    assert main([*map(str, folders), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    for folder in folders:
        own = {one["metric"]: one["value"] for one in found if one["run"] == folder.name}
        assert own == pytest.approx(read_finished(folder).record.reported_evaluation.metrics)


def test_seed_without_the_metric_leaves_the_median_undefined() -> None:
    abouts = [about_of_seed(seed) for seed in (1, 0)]
    scores = [[Score("f1", 2, 0.5, 0.4, 0.6)], [Score("f1", 2, None, None, None)]]
    (row,) = [
        row
        for row in cells_table("x", cells_of(abouts), abouts, scores).splitlines()
        if "| f1" in row
    ]
    assert [one.strip() for one in row.strip("|").split("|")][3:] == ["undefined", "- 50.00"]


def about_of_seed(seed: int) -> About:
    """Of a run with fixed ranks."""
    settings = {"init": "fixed", "seed": seed, "rank.average": 4, "lr": None}
    unsaid = {field.name: () for field in fields(About)}
    return About(**{**unsaid, "run": f"seed{seed}", "settings": settings})


def test_run_that_is_named_twice_is_refused(
    trained_runs: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    run = str(trained_runs["bert"])
    assert main([run, run]) == 1
    said = capsys.readouterr().err
    assert f"RUN must be another one each time, but got {Path(run).name} twice" in said


def test_interval_covers_the_true_accuracy() -> None:
    rng = np.random.default_rng(0)
    labels = np.zeros(200, dtype=np.int64)
    covered = 0
    for _ in range(300):
        predicted = (rng.random(200) < 0.2).astype(np.int64)
        low, high = examples_interval(predicted, labels, "accuracy", n_resamples=300)
        covered += low <= 0.8 <= high
    # A percentile bootstrap of 200 examples covers about 94 %; 300 samples show that to ± 2.7.
    assert 0.9 < covered / 300 < 0.98
