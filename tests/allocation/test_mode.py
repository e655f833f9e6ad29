"""Which allocation modes there are, and how one is made of settings."""

from typing import Any

import pytest

from lora_sweep.allocation.mode import allocation_modes, make_mode, modes_without_logits
from lora_sweep.allocation.modes.capped import Capped
from lora_sweep.allocation.modes.importance import Importance

CUTS: dict[str, Any] = {
    "warmup_fraction": 0.1,
    "final_fraction": 0.4,
    "every": 10,
    "beta1": 0.85,
    "beta2": 0.9,
}


def test_every_file_is_a_mode() -> None:
    with_logits, without = {"published", "capped", "soft_topk"}, {"importance", "random_square"}
    assert set(allocation_modes()) == with_logits | without
    assert set(modes_without_logits()) == without


def test_settings_of_other_modes_are_left_out() -> None:
    assert make_mode("capped", {"tau": 0.5, **dict.fromkeys(CUTS)}) == Capped(tau=0.5)
    assert make_mode("importance", {"tau": 0.0, **CUTS}) == Importance(**CUTS)


def test_what_is_not_there_takes_the_default() -> None:
    assert make_mode("capped", {}) == Capped(tau=0.0)


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("hard", {}, "mode must be one of .*, but got 'hard'"),
        ("capped", {"every": 3}, "every must be null with mode=capped, .* but got 3"),
        ("capped", {"tau": None}, "tau must be given with mode=capped, but got None"),
        ("importance", CUTS | {"beta2": None}, "beta2 must be given with mode=importance"),
        ("importance", {}, "warmup_fraction must be given with mode=importance, but got None"),
        ("soft_topk", {"tau": 0.1}, "tau must be 0 with mode=soft_topk, .* but got 0.1"),
    ],
)
def test_wrong_settings_are_refused(name: str, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}"):
        make_mode(name, settings)
