"""What is to be trained of some cells: in their order, each run once."""

from collections.abc import Callable

from lora_sweep.config.run import RunConfig
from lora_sweep.execution.execute import prepare_cells
from lora_sweep.execution.group import Options


def test_runs_come_in_the_order_of_their_cells_and_seeds_once_each(
    tiny_run: list[str], composed: Callable[..., RunConfig]
) -> None:
    seeds = (["seed=3", "n_seeds=2"], ["seed=1"], ["seed=4"], ["seed=0"])
    cells, jobs = prepare_cells([composed(*tiny_run, *own) for own in seeds], Options())
    assert [job.seed for job in jobs] == [3, 4, 1, 0]
    assert [list(cell) for cell in cells if not isinstance(cell, Exception)] == [
        [jobs[0].name, jobs[1].name],
        [jobs[2].name],
        [jobs[1].name],
        [jobs[3].name],
    ]
