"""Classifiers from run folders: the numbers of the run's own evaluation, and what is refused."""

import dataclasses
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from lora_sweep.data.corpus import LabelledTexts
from lora_sweep.data.files import load_files
from lora_sweep.errors import BaseModelError
from lora_sweep.store.finished import read_finished
from lora_sweep.store.predictions import read_predictions
from lora_sweep.trained.classifier import Predictions, predict_texts
from lora_sweep.trained.open import open_adapter, open_classifier

CPU = torch.device("cpu")


@pytest.fixture
def dev(tiny_corpus: Path) -> LabelledTexts:
    """The dev set of the trained runs."""
    return load_files(
        train=tiny_corpus / "train.tsv",
        dev=tiny_corpus / "dev.tsv",
        text="text",
        text_pair=None,
        label="label",
        regression=False,
        metric=None,
    ).dev["dev"]


def predictions(folder: Path, dev: LabelledTexts, cache: Path) -> Predictions:
    return predict_texts(open_classifier(folder, base=None, cache_dir=cache, device=CPU), dev)


@pytest.mark.parametrize("what", ["bert", "roberta", "mean", "fixed", "randomised", "regression"])
def test_predictions_are_those_of_the_run(
    what: str, trained_runs: dict[str, Path], dev: LabelledTexts, tmp_path: Path
) -> None:
    run = read_finished(trained_runs[what])
    kept = read_predictions(run.folder / "predictions.safetensors")
    expected = kept.parts["dev"][run.record.reported_epoch - 1]
    found = predictions(run.folder, dev, tmp_path)
    np.testing.assert_array_equal(found.values, expected)
    assert (found.probabilities is None) == (what == "regression")


def test_probabilities_sum_to_one(
    trained_runs: dict[str, Path], dev: LabelledTexts, tmp_path: Path
) -> None:
    found = predictions(trained_runs["bert"], dev, tmp_path)
    assert found.probabilities is not None
    np.testing.assert_allclose(found.probabilities.sum(axis=1), 1, atol=1e-12)
    np.testing.assert_array_equal(found.probabilities.argmax(axis=1), found.values)


def test_latent_is_masked_by_its_ranks(trained_runs: dict[str, Path]) -> None:
    run = read_finished(trained_runs["bert"])
    squares = open_adapter(run.folder).parts.values()
    for own, R, k in zip(squares, run.state["R"], run.integer_ranks, strict=True):
        assert torch.equal(own, R[:k, :k])
    assert len(set(run.integer_ranks)) > 1


def test_cell_holds_its_seeds_and_no_other_cell(trained_runs: dict[str, Path]) -> None:
    expected = {
        str(seed): read_finished(trained_runs[what]).record.reported_metric
        for seed, what in enumerate(("bert", "other_seed"))
    }
    assert open_adapter(trained_runs["bert"]).about.seeds == expected


def test_base_elsewhere_is_found_and_checked(
    trained_runs: dict[str, Path], tiny_base: Path, tiny_roberta: Path, tmp_path: Path
) -> None:
    moved = Path(shutil.copytree(tiny_base, tmp_path / "moved"))
    found = open_classifier(trained_runs["bert"], base=moved, cache_dir=tmp_path, device=CPU)
    assert found.about.matrices[0] == "encoder.layer.0.attention.self.query"
    with pytest.raises(BaseModelError, match=r"must be the base that .* was trained over"):
        open_classifier(trained_runs["bert"], base=tiny_roberta, cache_dir=tmp_path, device=CPU)


def test_missing_base_says_what_to_do(
    trained_runs: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    adapter = open_adapter(trained_runs["bert"])
    settings = adapter.about.settings | {"model.path": str(tmp_path / "gone")}
    about = dataclasses.replace(adapter.about, settings=settings)
    from lora_sweep.trained.adapted import base_of

    with pytest.raises(BaseModelError, match=r"is not there .*gone.*--base DIR"):
        base_of(about, None)
