"""Which job has which pack."""

import os
from pathlib import Path

import pytest

from lora_sweep.errors import DamagedFileError
from lora_sweep.store.pack_jobs import PackJobs


def test_job_is_noted_until_it_is_forgotten(tmp_path: Path) -> None:
    jobs = PackJobs(tmp_path / "sweep")
    assert jobs.all() == {} and jobs.job("pack-000000") is None
    jobs.note("pack-000001", "12_1")
    jobs.note("pack-000000", "12_0")
    jobs.note("pack-000001", "15")  # queued again
    assert PackJobs(tmp_path / "sweep").all() == {"pack-000000": "12_0", "pack-000001": "15"}
    jobs.forget("pack-000001")
    jobs.forget("pack-000001")
    assert jobs.all() == {"pack-000000": "12_0"}


def test_note_that_is_no_file_is_not_waited_for(tmp_path: Path) -> None:
    jobs = PackJobs(tmp_path)
    jobs.note("pack-000000", "12_0")
    path = tmp_path / ".packs" / "pack-000000.job"
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(DamagedFileError, match="must be a file, but got a pipe"):
        jobs.job("pack-000000")
