"""Which job has which pack."""

from pathlib import Path

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
