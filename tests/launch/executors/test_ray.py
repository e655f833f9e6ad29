"""What a Ray cluster must have, checked before anything waits for it; three nodes that go."""

import functools
import os
import time
from collections.abc import Iterator
from importlib.util import find_spec
from typing import Any

import pytest
from sweeps import TORTURE

from lora_sweep.errors import SettingError, WorkerDiedError, WorkersAwayError
from lora_sweep.execution.protocols import Handle, PackEnd
from lora_sweep.launch.executors.ray import RayExecutor, _room


@pytest.mark.parametrize(
    ("of_a_pack", "room"),
    [({"CPU": 1, "GPU": 0}, 8), ({"CPU": 3, "GPU": 0}, 2), ({"CPU": 1, "GPU": 0.5}, 4)],
    ids=["cores", "three-cores", "half-a-gpu"],
)
def test_room_is_what_fits(of_a_pack: dict[str, float], room: int) -> None:
    assert _room({"CPU": 8.0, "GPU": 2.0}, of_a_pack) == room


@pytest.mark.parametrize(
    ("found", "rule"),
    [
        ({"CPU": 8.0}, "gpus_per_pack must be at most the cluster's 0 GPUs, but got 1"),
        (
            {"GPU": 1.0, "CPU": 1.0},
            "cpus_per_pack must be at most the cluster's 1 CPUs, but got 2",
        ),
    ],
    ids=["no-gpu", "few-cores"],
)
def test_pack_without_room_is_refused(found: dict[str, float], rule: str) -> None:
    with pytest.raises(SettingError, match=rule):
        _room(found, {"CPU": 2, "GPU": 1})


@pytest.fixture
def cluster() -> Iterator[Any]:
    """Three nodes of this machine; the first, which keeps the books, takes no packs."""
    import ray
    from ray.cluster_utils import Cluster

    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
    nodes = [made.add_node(num_cpus=1) for _ in range(2)]
    made.wait_for_nodes()
    yield made, nodes
    ray.shutdown()
    made.shutdown()


def ended(handle: Handle, seconds: float = 240.0) -> PackEnd:
    until = time.monotonic() + seconds
    while (end := handle.end()) is None:
        assert time.monotonic() < until
        time.sleep(0.1)
    return end


@pytest.mark.slow
@pytest.mark.skipif(not TORTURE, reason="the long version: make torture")
@pytest.mark.skipif(find_spec("ray") is None, reason="ray is not installed")
@pytest.mark.filterwarnings("ignore")
def test_packs_go_to_the_nodes_that_are_left(
    cluster: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    made, nodes = cluster
    one = {"cpus_per_pack": 1, "gpus_per_pack": 0, "max_packs": None, "init": {}}
    executor = RayExecutor(address=made.address, **one)  # type: ignore[arg-type]
    assert executor.capacity == 2
    dying, living = executor.submit([os.abort, PackEnd])
    with pytest.raises(WorkerDiedError, match="its process is gone"):
        ended(dying)
    assert ended(living) == PackEnd()
    made.remove_node(nodes[0], allow_graceful=False)
    (handle,) = executor.submit([PackEnd])
    assert ended(handle) == PackEnd()
    (handle,) = executor.submit([functools.partial(time.sleep, 600)])
    time.sleep(5)
    made.remove_node(nodes[1], allow_graceful=False)
    with pytest.raises(WorkersAwayError, match=r"no node .* is left .*\(1 of 3 nodes"):
        ended(handle)
    with pytest.raises(WorkersAwayError):
        executor.submit([PackEnd])
    assert "(raylet)" not in capfd.readouterr().out
