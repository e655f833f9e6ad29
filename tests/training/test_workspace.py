import torch

from lora_sweep.training.seeds import CPU
from lora_sweep.training.workspace import Workspace


def _address(workspace: Workspace, *shape: int, dtype: torch.dtype = torch.float32) -> int:
    taken = workspace.take("x", shape, dtype, CPU)
    assert (taken.shape, taken.dtype) == (shape, dtype) and taken.is_contiguous()
    return taken.data_ptr()


def test_memory_is_taken_again_until_more_is_asked_for() -> None:
    workspace = Workspace()
    first = _address(workspace, 80, 10)
    assert _address(workspace, 2, 3, 4) == first
    assert _address(workspace, 90, 10) == first  # an eighth more is there
    second = _address(workspace, 91, 10)
    assert _address(workspace, 91, 10) == second != first


def test_names_and_types_have_memory_of_their_own() -> None:
    workspace = Workspace()
    one = workspace.take("x", (5,), torch.float32, CPU).fill_(1)
    workspace.take("y", (5,), torch.float32, CPU).fill_(2)
    assert one.tolist() == [1.0] * 5
    workspace.take("x", (5,), torch.int64, CPU).fill_(3)
    assert one.tolist() == [1.0] * 5


def test_other_devices_keep_nothing_here() -> None:
    workspace, meta = Workspace(), torch.device("meta")
    first, second = (workspace.take("x", (3, 4), torch.int64, meta) for _ in range(2))
    assert first is not second and first.shape == (3, 4) and first.device == meta
