"""Predictions for files: the run's own numbers, for any format, in chunks, and what is refused."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from lora_sweep.commands.predict import main
from lora_sweep.predict import rows as predict_rows
from lora_sweep.store.finished import read_finished
from lora_sweep.store.predictions import read_predictions


def predicted_by_run(folder: Path) -> list[str]:
    run = read_finished(folder)
    kept = read_predictions(folder / "predictions.safetensors")
    return [str(value) for value in kept.parts["dev"][run.record.reported_epoch - 1].tolist()]


def read(path: Path) -> list[dict[str, str]]:
    if path.suffix == ".jsonl":
        return [json.loads(line) for line in path.read_text().splitlines()]
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream, delimiter="\t" if path.suffix == ".tsv" else ","))


def predict(run: Path, source: Path, target: Path, *options: str) -> int:
    return main([str(run), "--input", str(source), "--output", str(target), *options])


@pytest.fixture(params=[5, 1_024], ids=["many chunks", "one chunk"])
def chunk(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(predict_rows, "CHUNK", request.param)


@pytest.mark.usefixtures("chunk")
@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".jsonl"])
def test_file_gets_the_runs_own_labels(
    suffix: str, trained_runs: dict[str, Path], tiny_corpus: Path, tmp_path: Path
) -> None:
    target = tmp_path / f"out{suffix}"
    assert predict(trained_runs["bert"], tiny_corpus / "dev.tsv", target) == 0
    found = read(target)
    assert [row["predicted"] for row in found] == predicted_by_run(trained_runs["bert"])
    assert [row["text"] for row in found] == [r["text"] for r in read(tiny_corpus / "dev.tsv")]
    for row in found:
        shares = {label: float(row[f"probability_{label}"]) for label in ("0", "1")}
        assert max(shares, key=lambda label: shares[label]) == row["predicted"]
        assert sum(shares.values()) == pytest.approx(1, abs=2e-6)


def test_pairs_get_the_runs_own_labels(
    trained_runs: dict[str, Path], tiny_corpus: Path, tmp_path: Path
) -> None:
    lines = [f"{row['text']}\t{row['text']}" for row in read(tiny_corpus / "dev.tsv")]
    (tmp_path / "in.tsv").write_text("\n".join(["one\ttwo", *lines]) + "\n")
    columns = ("--text", "one", "--text-pair", "two")
    target = tmp_path / "out.tsv"
    assert predict(trained_runs["pairs"], tmp_path / "in.tsv", target, *columns) == 0
    found = [row["predicted"] for row in read(target)]
    assert found == predicted_by_run(trained_runs["pairs"])


def test_regression_gives_the_runs_own_numbers(
    trained_runs: dict[str, Path], tiny_corpus: Path, tmp_path: Path
) -> None:
    target = tmp_path / "out.jsonl"
    assert predict(trained_runs["regression"], tiny_corpus / "dev.tsv", target) == 0
    found = read(target)
    expected = list(map(float, predicted_by_run(trained_runs["regression"])))
    np.testing.assert_allclose([row["predicted"] for row in found], expected, rtol=0, atol=1e-6)
    assert list(found[0]) == ["text", "label", "predicted"]


def test_text_column_is_named(trained_runs: dict[str, Path], tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_text('id,sentence\n7,"cat sees a dog"\n')
    run, target = trained_runs["bert"], tmp_path / "out.csv"
    assert predict(run, tmp_path / "in.csv", target, "--text", "sentence") == 0
    assert list(read(target)[0])[:3] == ["id", "sentence", "predicted"]


@pytest.fixture(autouse=True)
def no_cuda(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)


@pytest.mark.parametrize(
    ("content", "options", "message"),
    [
        ("other\ncat\n", (), "no column 'text'; there are 'other'"),
        ("text\n", (), "there are no rows"),
        ("text,predicted\ncat,1\n", (), "must have no column 'predicted'"),
        ("text\ncat\n", ("--text-pair", "b"), "--text-pair must come with a run on pairs"),
        ("text\ncat\n", ("--device", "cuda"), "torch finds no CUDA device"),
    ],
)
def test_bad_input_leaves_no_output(
    content: str,
    options: tuple[str, ...],
    message: str,
    trained_runs: dict[str, Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "in.csv").write_text(content)
    target = tmp_path / "out.csv"
    assert predict(trained_runs["bert"], tmp_path / "in.csv", target, *options) == 1
    assert message in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.csv"]


def test_texts_of_json_must_be_text(
    trained_runs: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "in.jsonl").write_text('{"text": 3}\n')
    assert predict(trained_runs["bert"], tmp_path / "in.jsonl", tmp_path / "out.csv") == 1
    assert "line 1, column 'text': must be text, but got 3" in capsys.readouterr().err


def test_rows_of_json_may_lack_columns_but_have_none_of_their_own(
    trained_runs: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = tmp_path / "in.jsonl"
    source.write_text('{"text": "cat", "note": "mine"}\n{"text": "dog"}\n')
    assert predict(trained_runs["bert"], source, tmp_path / "out.csv") == 0
    with (tmp_path / "out.csv").open(newline="") as stream:
        assert [row["note"] for row in csv.DictReader(stream)] == ["mine", ""]
    source.write_text('{"text": "cat"}\n{"text": "dog", "note": "mine"}\n')
    assert predict(trained_runs["bert"], source, tmp_path / "no.csv") == 1
    assert "no column that the first one lacks, but got 'note'" in capsys.readouterr().err
    assert not (tmp_path / "no.csv").exists()
    assert predict(trained_runs["bert"], source, tmp_path / "out.jsonl") == 0


def test_output_is_never_overwritten(
    trained_runs: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "in.csv").write_text("text\ncat\n")
    (tmp_path / "out.csv").write_text("mine")
    assert predict(trained_runs["bert"], tmp_path / "in.csv", tmp_path / "out.csv") == 1
    assert "--output must be a new file" in capsys.readouterr().err
    assert (tmp_path / "out.csv").read_text() == "mine"


def test_output_needs_its_folder(
    trained_runs: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "in.csv").write_text("text\ncat\n")
    assert predict(trained_runs["bert"], tmp_path / "in.csv", tmp_path / "no" / "out.csv") == 1
    assert "--output must lie in a folder that is there" in capsys.readouterr().err


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".jsonl"])
def test_no_text_is_a_formula_in_a_spreadsheet(suffix: str, tmp_path: Path) -> None:
    """Labels, texts and columns alike; JSON lines, which no spreadsheet computes, keep them."""
    row = {"=text": "=1+1", "score": "-0.5", "predicted": "@SUM(A1)", "probability_@SUM(A1)": 0.25}
    target = tmp_path / f"out{suffix}"
    with target.open("w", newline="") as stream:
        predict_rows._row_writer(target, stream, list(row))(row)
    guarded = {
        "'=text": "'=1+1",
        "score": "-0.5",
        "predicted": "'@SUM(A1)",
        "probability_@SUM(A1)": "0.25",
    }
    assert read(target) == [row if suffix == ".jsonl" else guarded]
