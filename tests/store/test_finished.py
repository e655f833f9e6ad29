"""Finished runs: read whole, or refused with what to do."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from lora_sweep.errors import RecordError
from lora_sweep.store.finished import read_finished
from lora_sweep.store.record import FailureRecord, PrunedRecord, read_result
from lora_sweep.store.run_folder import RunFolder


@pytest.fixture
def copy(trained_runs: dict[str, Path], tmp_path: Path) -> Path:
    """A copy of a finished run, which a test may damage."""
    return Path(shutil.copytree(trained_runs["bert"], tmp_path / "run"))


def test_finished_run_is_read_whole(copy: Path) -> None:
    run = read_finished(copy)
    assert run.state["R"].shape == (8, 4, 4)
    assert run.state["logits"].shape == (8,)
    assert run.state["head.out.weight"].shape == (2, 16)
    assert run.integer_ranks == run.record.epochs[run.record.reported_epoch - 1].integer_ranks
    assert run.record.label_names == ["0", "1"]


def test_identity_is_of_what_was_trained(copy: Path, trained_runs: dict[str, Path]) -> None:
    own = read_finished(copy).identity
    assert own == read_finished(trained_runs["bert"]).identity
    assert own != read_finished(trained_runs["other_seed"]).identity


def _without_result(folder: Path) -> None:
    (folder / "result.json").unlink()


def _failed(folder: Path) -> None:
    _without_result(folder)
    RunFolder(folder).fail(FailureRecord({}, "loss became nan"))


def _pruned(folder: Path) -> None:
    _without_result(folder)
    RunFolder(folder).prune(PrunedRecord({}, 1, 0.5, "worse than the median"))


def _sweep(folder: Path) -> None:
    _without_result(folder)
    (folder / "sweep.json").write_text("{}")


def _cut(folder: Path) -> None:
    content = (folder / "state.safetensors").read_bytes()
    (folder / "state.safetensors").write_bytes(content[:-9])


def _changed_state(folder: Path) -> None:
    content = bytearray((folder / "state.safetensors").read_bytes())
    content[-1] ^= 1
    (folder / "state.safetensors").write_bytes(content)


def _changed_result(folder: Path) -> None:
    text = (folder / "result.json").read_text()
    (folder / "result.json").write_text(text.replace("0.", "1.", 1))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (shutil.rmtree, "there is no such folder"),
        (_without_result, r"it has no result\.json: the command .* finishes it"),
        (_failed, "the run failed: loss became nan"),
        (_pruned, "the run was ended early: worse than the median"),
        (_sweep, "it is a sweep's: give one of the run folders"),
        (_cut, "must be as it was written.*finished=overwrite"),
        (_changed_state, "must be as it was written.*finished=overwrite"),
        (_changed_result, "must be as it was written"),
    ],
)
def test_no_finished_run_is_refused(
    damage: Callable[[Path], None], message: str, copy: Path
) -> None:
    damage(copy)
    with pytest.raises(RecordError, match=message):
        read_finished(copy)


def test_state_of_another_run_is_refused(copy: Path, trained_runs: dict[str, Path]) -> None:
    shutil.copy(trained_runs["other_seed"] / "state.safetensors", copy)
    with pytest.raises(RecordError, match=r"state.safetensors must be as it was written"):
        read_finished(copy)
    record = read_result(copy / "result.json")
    RunFolder(copy).finish(record)  # which takes the state as its own
    with pytest.raises(RecordError, match=r"must be of the run in result\.json"):
        read_finished(copy)
