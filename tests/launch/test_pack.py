"""The launcher `pack`: its setting; what it trains is tested with real sweeps."""

import pytest

from lora_sweep.errors import SettingError
from lora_sweep.launch.pack import PackLauncher


@pytest.mark.parametrize(("given", "size"), [("auto", None), (1, 1), (32, 32)])
def test_pack_size_is_taken(given: int | str, size: int | None) -> None:
    assert PackLauncher(given).pack_size == size


@pytest.mark.parametrize("given", [0, -1, "many", 1.5])
def test_impossible_pack_size_is_refused(given: int | str) -> None:
    with pytest.raises(SettingError, match=r"pack_size must be auto, or an integer of at least 1"):
        PackLauncher(given)
