"""A signal that comes while a pack's records are written: the pack is done, the next not begun."""

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from lora_sweep.config.run import RunConfig
from lora_sweep.execution.execute import run_cells
from lora_sweep.execution.group import Options
from lora_sweep.execution.run_recorder import RunRecorder
from lora_sweep.interrupt import StoppedError, raise_stopped


def test_stop_at_a_packs_end_begins_no_other_pack(
    tiny_run: list[str],
    composed: Callable[..., RunConfig],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cells = [composed(*tiny_run, "paths.sweep=late", f"seed={seed}") for seed in range(2)]
    finish = RunRecorder.finish

    def stopped_meanwhile(recorder: RunRecorder) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        finish(recorder)

    before = signal.signal(signal.SIGTERM, raise_stopped)
    try:
        with monkeypatch.context() as patched, pytest.raises(StoppedError):
            patched.setattr(RunRecorder, "finish", stopped_meanwhile)
            run_cells(cells, Options(pack_size=1))
    finally:
        signal.signal(signal.SIGTERM, before)
    begun, finished = (
        list(tmp_path.glob(f"outputs/late/*/{name}")) for name in ("config.yaml", "result.json")
    )
    assert len(begun) == len(finished) == 1
    metrics = run_cells(cells, Options(pack_size=1))
    assert all(isinstance(metric, float) for metric in metrics)
    assert len(list(tmp_path.glob("outputs/late/*/result.json"))) == 2
