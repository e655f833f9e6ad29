"""What is said of a precision that the processor is not made for."""

import logging
from collections.abc import Iterator

import pytest
import torch

from lora_sweep.execution import processor
from lora_sweep.execution.processor import product_rate, say_which_precision_is_faster


@pytest.fixture(autouse=True)
def unsaid() -> Iterator[None]:
    say_which_precision_is_faster.cache_clear()
    yield
    say_which_precision_is_faster.cache_clear()


def machine(
    monkeypatch: pytest.MonkeyPatch, *, float32: float, bfloat16: float, capability: str = "AVX2"
) -> None:
    rates = {torch.float32: float32, torch.bfloat16: bfloat16}
    monkeypatch.setattr(processor, "product_rate", rates.__getitem__)
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: capability)


@pytest.mark.parametrize("capability", ["AVX512", "AVX512_VNNI"])
def test_float32_is_told_of_a_faster_bfloat16_once(
    capability: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    machine(monkeypatch, float32=360, bfloat16=1100, capability=capability)
    for _ in range(2):
        say_which_precision_is_faster("float32")
    assert [record.getMessage() for record in caplog.records] == [
        "precision=bfloat16 would be faster on this processor: products run at 1100 GFLOP/s in "
        "it, and at 360 in float32"
    ]


def test_bfloat16_without_instructions_is_told_of_float32(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    machine(monkeypatch, float32=88, bfloat16=1.3)
    say_which_precision_is_faster("bfloat16")
    assert "precision=float32 would be faster" in caplog.text
    assert "at 88 GFLOP/s in it, and at 1 in bfloat16" in caplog.text


@pytest.mark.parametrize(
    ("precision", "float32", "bfloat16"), [("float32", 100, 120), ("bfloat16", 100, 120)]
)
def test_small_differences_are_not_worth_a_word(
    precision: str,
    float32: float,
    bfloat16: float,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    machine(monkeypatch, float32=float32, bfloat16=bfloat16, capability="AVX512")
    say_which_precision_is_faster(precision)
    assert caplog.records == []


def test_float32_measures_nothing_where_bfloat16_has_no_instructions(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX2")
    monkeypatch.setattr(processor, "product_rate", lambda dtype: pytest.fail("measured"))
    with caplog.at_level(logging.DEBUG):
        say_which_precision_is_faster("float32")
    assert caplog.records == []


def test_rate_is_one_of_a_computer() -> None:
    assert 0.01 < product_rate(torch.float32) < 1e6
