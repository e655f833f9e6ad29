"""One process a device: two of them on halves of a batch train what one does on the whole."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

TESTS = Path(__file__).parents[1]
SCRIPT = """
import json, sys
import torch
from torch.distributed import destroy_process_group, init_process_group
from torch.nn.parallel import DistributedDataParallel
from classifiers import PLAN, make_batch, make_model
from lora_sweep import adapt, parameter_groups

rank, n = int(sys.argv[1]), int(sys.argv[2])
model = trained = make_model("roberta").train()
adapter = adapt(model, PLAN)
adapter.schedule(steps_per_epoch=2, n_epochs=2)
if n > 1:
    place = f"tcp://127.0.0.1:{sys.argv[3]}"
    init_process_group("gloo", init_method=place, rank=rank, world_size=n)
    trained = DistributedDataParallel(model, find_unused_parameters=True)
optimiser = torch.optim.SGD(parameter_groups(model, lr=0.5, lr_logits=0.5, lr_head=0.5))
for step in range(4):
    own = slice(rank * 8 // n, (rank + 1) * 8 // n)
    batch = {name: values[own] for name, values in make_batch(8, step).items()}
    trained(**batch).loss.backward()
    optimiser.step()
    optimiser.zero_grad()
    adapter.advance()
print(json.dumps([adapter.R.tolist(), adapter.logits.tolist(), adapter.integer_ranks()]))
if n > 1:
    destroy_process_group()
"""


def _trained(n: int) -> list[Any]:
    """R, logits and integer ranks of every process."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    path = os.pathsep.join([str(TESTS / "training"), str(TESTS.parent)])
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", SCRIPT, str(rank), str(n), port],
            env={**os.environ, "PYTHONPATH": path},
            stdout=subprocess.PIPE,
            text=True,
        )
        for rank in range(n)
    ]
    return [json.loads(process.communicate(timeout=300)[0]) for process in processes]


@pytest.mark.slow
def test_processes_train_what_one_does() -> None:
    (alone,), (first, second) = _trained(1), _trained(2)
    assert first == second
    R, theirs = (torch.tensor(values) for values in (first[0], alone[0]))
    torch.testing.assert_close(R, theirs, rtol=0, atol=1e-5)
    assert R.abs().max() > 0.01  # it has trained
    assert first[1] == pytest.approx(alone[1], abs=1e-5)
    assert first[2] == alone[2]
