"""One process a device: two of them on halves of a batch train what one does on the whole."""

import json
import os
import socket
from pathlib import Path
from typing import Any

import pytest
import torch
from processes import ENVIRONMENT, Fork

TESTS = Path(__file__).parents[1]


def _trained(n: int) -> list[Any]:
    """R, logits and integer ranks of every process."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    folder, environment = TESTS / "training", os.environ | ENVIRONMENT
    processes = [
        Fork(["halves", str(rank), str(n), port], cwd=folder, env=environment) for rank in range(n)
    ]
    said = [process.communicate(timeout=300)[0].splitlines() for process in processes]
    return [json.loads(lines[-1]) for lines in said]


@pytest.mark.slow
def test_processes_train_what_one_does() -> None:
    (alone,), (first, second) = _trained(1), _trained(2)
    assert first == second
    R, theirs = (torch.tensor(values) for values in (first[0], alone[0]))
    torch.testing.assert_close(R, theirs, rtol=0, atol=1e-5)
    assert R.abs().max() > 0.01  # it has trained
    assert first[1] == pytest.approx(alone[1], abs=1e-5)
    assert first[2] == alone[2]
