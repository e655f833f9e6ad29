"""What was measured of a run before it trained, as its record and its checkpoints keep it."""

from dataclasses import dataclass
from typing import Any

from lora_sweep.rules import require
from lora_sweep.store.fields import check_fields


@dataclass(frozen=True)
class CalibrationRecord:
    """What a run's ranks were before it trained, where they came from the data.

    Attributes:
        scores: what was measured of every matrix (N, n), n = 1, or one a rank.
        ranks: that follow from them (N): those of the whole training, or where the logits start.
    """

    scores: list[list[float]]
    ranks: list[int]

    def check(self, n_matrices: int) -> None:
        """Checks that it is of so many matrices.

        Raises:
            ValueError: it is not.
        """
        for name, own in vars(self).items():
            rule = f"one a matrix, {n_matrices}"
            require(len(own) == n_matrices, f"calibration.{name}", rule, len(own))


def calibration_of(fields: dict[str, Any] | None) -> CalibrationRecord | None:
    """Returns the calibration that a file's fields say; None for none.

    Raises:
        TypeError: they don't say one.
    """
    if fields is None:
        return None
    calibration = CalibrationRecord(**fields)
    check_fields(calibration)
    return calibration
