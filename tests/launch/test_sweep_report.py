"""Which job of a sweep that nobody waits for writes its report."""

from pathlib import Path

import pytest

from lora_sweep import slurm
from lora_sweep.launch.sweep_report import SweepReport
from lora_sweep.report.compare.question import STANDARD_QUESTION
from lora_sweep.slurm import SlurmJob
from lora_sweep.store.pack_jobs import PackJobs
from lora_sweep.store.sweep_list import add_to_sweep

OWN = "12_0"


@pytest.fixture
def left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SweepReport:
    """Of a sweep of two runs in two packs; this process is the job of the first."""
    sweep_dir = tmp_path / "s"
    add_to_sweep(sweep_dir, {"a": {"seed": 0}, "b": {"seed": 1}}, "a command")
    for pack in range(2):
        PackJobs(sweep_dir).note(f"pack-00000{pack}", f"12_{pack}")
    monkeypatch.setattr(slurm, "own_job", lambda: OWN)
    return SweepReport(
        Path("s"), "a command", STANDARD_QUESTION, figures=False, page=False, folder=str(tmp_path)
    )


def end(report: SweepReport, *names: str) -> None:
    """Ends runs, as far as this looks at them."""
    for name in names:
        folder = Path(report.folder) / report.sweep_dir / name
        folder.mkdir()
        for file in ("settings.json", "result.json"):
            (folder / file).write_text("{}")


def is_shown(report: SweepReport, monkeypatch: pytest.MonkeyPatch) -> bool:
    shown: list[Path] = []
    monkeypatch.setattr(SweepReport, "show", lambda self: shown.append(Path.cwd()))
    report.show_if_over()
    assert shown in ([], [Path(report.folder)])
    return bool(shown)


def test_report_comes_when_all_runs_are_done(
    left: SweepReport, monkeypatch: pytest.MonkeyPatch
) -> None:
    end(left, "a", "b")
    monkeypatch.setattr(slurm, "jobs_in_queue", lambda: None)
    assert is_shown(left, monkeypatch)


@pytest.mark.parametrize(
    ("state", "expected"),
    [("PENDING", False), ("RUNNING", False), ("FAILED", True)],
)
def test_runs_left_are_waited_for_while_their_job_lives(
    left: SweepReport, monkeypatch: pytest.MonkeyPatch, state: str, *, expected: bool
) -> None:
    end(left, "a")
    jobs = {OWN: SlurmJob("RUNNING", "None"), "12_1": SlurmJob(state, "None")}
    monkeypatch.setattr(slurm, "jobs_in_queue", lambda: jobs)
    assert is_shown(left, monkeypatch) == expected


def test_other_jobs_live_while_slurm_does_not_answer(
    left: SweepReport, monkeypatch: pytest.MonkeyPatch
) -> None:
    end(left, "a")
    monkeypatch.setattr(slurm, "jobs_in_queue", lambda: None)
    assert not is_shown(left, monkeypatch)
    PackJobs(Path(left.folder) / "s").forget("pack-000001")
    assert is_shown(left, monkeypatch)


def test_sweep_without_a_run_has_no_report(
    left: SweepReport, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slurm, "jobs_in_queue", dict)
    assert not is_shown(left, monkeypatch)
