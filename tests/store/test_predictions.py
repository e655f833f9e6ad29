"""Dev predictions and labels come back as they were saved; what is none is refused."""

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from lora_sweep.errors import RecordError
from lora_sweep.store.predictions import DevLabels, read_predictions, save_predictions

LABELS = DevLabels(
    {"near": np.array([0, 1]), "far": np.array([1]), "aside": np.array([0, 0, 0])}, ("near", "far")
)
FIRST = {"near": np.array([0, 0]), "far": np.array([1]), "aside": np.array([1, 0, 1])}
SECOND = {"near": np.array([1, 1]), "far": np.array([0]), "aside": np.array([1, 1, 1])}


def test_headline_joins_its_parts_at_an_epoch(tmp_path: Path) -> None:
    path = tmp_path / "p.safetensors"
    save_predictions(path, [FIRST, SECOND], LABELS)
    dev = read_predictions(path)
    predicted, labels = dev.headline(2)
    assert (predicted.tolist(), labels.tolist()) == ([1, 1, 0], [0, 1, 1])
    assert dev.parts["aside"].tolist() == [[1, 0, 1], [1, 1, 1]]


def test_regression_keeps_its_values(tmp_path: Path) -> None:
    path = tmp_path / "p.safetensors"
    save_predictions(
        path,
        [{"dev": np.array([0.25, 3.5])}],
        DevLabels({"dev": np.array([1.5, 2.0], dtype=np.float32)}, ("dev",)),
    )
    predicted, labels = read_predictions(path).headline(1)
    assert (predicted.tolist(), labels.tolist()) == ([0.25, 3.5], [1.5, 2.0])


SOUND = {"labels/near": np.zeros(2), "predicted/near": np.zeros((1, 2))}


@pytest.mark.parametrize(
    ("changed", "headline"),
    [
        ({}, None),
        ({"predicted/near": None}, '["near"]'),
        ({"predicted/near": np.zeros((1, 3))}, '["near"]'),
        ({"predicted/near": np.zeros(2)}, '["near"]'),
        ({}, '["far"]'),
        ({}, "["),
        ({}, "[]"),
    ],
    ids=["no_headline", "lacking", "other_length", "no_epochs", "other_part", "no_json", "none"],
)
def test_what_is_none_is_refused(
    changed: dict[str, np.ndarray | None], headline: str | None, tmp_path: Path
) -> None:
    path = tmp_path / "p.safetensors"
    arrays = {name: array for name, array in (SOUND | changed).items() if array is not None}
    save_file(arrays, path, None if headline is None else {"headline_parts": headline})
    with pytest.raises(RecordError, match=r"p\.safetensors"):
        read_predictions(path)


def test_truncated_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "p.safetensors"
    save_predictions(path, [FIRST], LABELS)
    path.write_bytes(path.read_bytes()[:-4])
    with pytest.raises(RecordError, match="can't be read"):
        read_predictions(path)
    path.write_text(json.dumps({}))
    with pytest.raises(RecordError, match="can't be read"):
        read_predictions(path)
