"""What a Ray cluster must have, checked before anything waits for it. No cluster is started."""

import pytest

from lora_sweep.errors import SettingError
from lora_sweep.launch.executors.ray import _room


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
