import dataclasses

import pytest
import torch
from toy import RUN, SHARED, make_encoder, make_texts

from lora_sweep.execution import pack_size
from lora_sweep.execution.pack_size import best_pack_size, size_for_workers

PLANS = [dataclasses.replace(RUN, seed=seed) for seed in range(40)]


def _size(
    monkeypatch: pytest.MonkeyPatch,
    costs: dict[int, float],
    *,
    n_runs: int = 40,
    free: int = 2**40,
    together: int = 1,
) -> int:
    """The size chosen if a run's step costs this in packs of each size."""
    monkeypatch.setattr(pack_size, "_cost", lambda e, t, plans, s: costs[len(plans)])
    monkeypatch.setattr(pack_size, "_free_bytes", lambda device: free)
    long = dataclasses.replace(SHARED, n_epochs=1000)
    return best_pack_size(make_encoder(), make_texts(), PLANS[:n_runs], long, together=together)


def test_size_doubles_while_it_pays_off(monkeypatch: pytest.MonkeyPatch) -> None:
    assert _size(monkeypatch, {4: 1.0, 8: 0.6, 16: 0.5, 32: 0.49}) == 16
    assert _size(monkeypatch, {4: 1.0, 8: 0.95}) == 4


def test_short_work_is_not_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pack_size, "_cost", None)
    sizes = [best_pack_size(make_encoder(), make_texts(), PLANS[:n], SHARED) for n in (3, 20)]
    assert sizes == [3, 4]


def test_size_is_within_the_number_of_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    assert _size(monkeypatch, {4: 1.0, 8: 0.5}, n_runs=9) == 8
    assert [_size(monkeypatch, {}, n_runs=n) for n in (1, 3, 5)] == [1, 3, 4]


def test_size_is_within_half_of_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    per_run = pack_size.bytes_per_run(make_encoder(), make_texts(), PLANS, SHARED)
    costs = {size: 1.0 / size for size in (4, 8, 16)}
    assert _size(monkeypatch, costs, free=2 * 9 * per_run) == 8
    assert _size(monkeypatch, costs, free=2 * 3 * per_run) == 3
    assert _size(monkeypatch, costs, free=0) == 1


def test_runs_of_a_cell_fit_into_the_smallest_pack(monkeypatch: pytest.MonkeyPatch) -> None:
    assert _size(monkeypatch, {5: 1.0, 10: 0.95}, together=5) == 5
    assert _size(monkeypatch, {5: 1.0, 10: 0.5, 20: 0.5}, together=5) == 10
    assert _size(monkeypatch, {4: 1.0, 8: 0.95}, together=3) == 4
    per_run = pack_size.bytes_per_run(make_encoder(), make_texts(), PLANS, SHARED)
    assert _size(monkeypatch, {}, free=2 * 3 * per_run, together=5) == 3


def test_memory_of_a_run_counts_what_backward_keeps() -> None:
    encoder, texts = make_encoder(), make_texts()
    small = pack_size.bytes_per_run(encoder, texts, PLANS, SHARED)
    shared = dataclasses.replace(SHARED, batch_size=20)
    large = pack_size.bytes_per_run(encoder, texts, PLANS, shared)
    # the hidden states of two layers at least, float32; less than ten times all of their parts
    tokens = 5 * 6
    assert 2 * tokens * encoder.d * 4 < small < large


def test_timing_leaves_the_encoder_fit_for_training() -> None:
    encoder, texts = make_encoder(dropout=0.1), make_texts()
    state = torch.get_rng_state()
    long = dataclasses.replace(SHARED, n_epochs=1000)
    assert best_pack_size(encoder, texts, PLANS[:9], long) in (4, 8)
    assert torch.equal(torch.get_rng_state(), state)


def test_workers_share_runs_evenly_but_keep_a_cell_together() -> None:
    assert [size_for_workers(n, 4) for n in (3, 40, 400)] == [1, 10, 16]
    assert size_for_workers(40, 4, together=20) == 20
    assert size_for_workers(12, 4, together=20) == 12
