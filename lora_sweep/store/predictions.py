"""Dev predictions of a run beside the true labels: `predictions.safetensors`.

predicted/PART  (n_epochs, n)   labels, or values for a regression
labels/PART     (n,)
metadata        headline_parts: JSON list, the parts that the headline metric is of
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from lora_sweep.errors import DamagedFileError, RecordError
from lora_sweep.files import opened

Array = NDArray[Any]


@dataclass(frozen=True)
class DevLabels:
    """True labels of the dev texts.

    Attributes:
        parts: part name -> labels (n,).
        headline_parts: the parts that the headline metric is of.
    """

    parts: Mapping[str, Array]
    headline_parts: tuple[str, ...]


@dataclass(frozen=True)
class DevPredictions:
    """What a run predicted at every evaluation.

    Attributes:
        labels: the true ones.
        parts: part name -> predictions (n_epochs, n).
    """

    labels: DevLabels
    parts: Mapping[str, Array]

    def headline(self, epoch: int) -> tuple[Array, Array]:
        """Returns predictions and labels (n,) of the headline parts.

        Args:
            epoch: 1 for the first.
        """
        names = self.labels.headline_parts
        predicted = np.concatenate([self.parts[name][epoch - 1] for name in names])
        return predicted, np.concatenate([self.labels.parts[name] for name in names])


def save_predictions(path: Path, predicted: Sequence[Mapping[str, Array]], dev: DevLabels) -> None:
    """Writes the file.

    Args:
        path: where to.
        predicted: of every evaluation, part name -> predictions (n,).
        dev: the true labels, with the same parts.
    """
    arrays = {f"labels/{name}": np.ascontiguousarray(own) for name, own in dev.parts.items()}
    for name in dev.parts:
        arrays[f"predicted/{name}"] = np.stack([parts[name] for parts in predicted])
    path.write_bytes(save(arrays, {"headline_parts": json.dumps(dev.headline_parts)}))


def read_predictions(path: Path) -> DevPredictions:
    """Returns what `save_predictions` wrote.

    Raises:
        RecordError: the file can't be read, or is no such file.
    """
    try:
        opened(path).close()
        with safe_open(path, framework="numpy") as file:
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            about = file.metadata() or {}
        names = json.loads(about["headline_parts"])
        parts = [name.removeprefix("labels/") for name in arrays if name.startswith("labels/")]
        labels = {name: arrays[f"labels/{name}"] for name in parts}
        predicted = {name: arrays[f"predicted/{name}"] for name in parts}
    except (OSError, DamagedFileError, SafetensorError, ValueError, KeyError) as error:
        raise RecordError(f"{path} can't be read: {error}") from error
    if not names or not all(
        name in parts and _fit(predicted[name], labels[name]) for name in names
    ):
        raise RecordError(f"{path} must hold predictions of its headline parts, but got {parts}")
    return DevPredictions(DevLabels(labels, tuple(names)), predicted)


def _fit(predicted: Array, labels: Array) -> bool:
    return predicted.ndim == 2 and predicted.shape[1:] == labels.shape
