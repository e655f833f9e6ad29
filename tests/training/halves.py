"""Trains on this process's share of each batch; prints R, logits and integer ranks.

Called with the process's rank, the number of processes, and a port for them to meet at.
"""

import json
import os
import sys

import torch
from classifiers import PLAN, make_batch, make_model
from torch.distributed import init_process_group
from torch.nn.parallel import DistributedDataParallel

from lora_sweep import adapt, parameter_groups


def main(rank: int, n: int, port: str) -> None:
    model = trained = make_model("roberta").train()
    adapter = adapt(model, PLAN)
    adapter.schedule(steps_per_epoch=2, n_epochs=2)
    if n > 1:
        place = f"tcp://127.0.0.1:{port}"
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
    said = [adapter.R.tolist(), adapter.logits.tolist(), adapter.integer_ranks()]
    print(json.dumps(said), flush=True)
    os._exit(0)  # gloo, taken down in order, may wait for ever for the other that has left


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
