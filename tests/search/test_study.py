"""A search that goes on: the same study wherever its folder lies, and the same search throughout.

Nothing is trained here, see the fixture `search`.
"""

import logging
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from lora_sweep.errors import SettingError
from lora_sweep.search.study import Common
from lora_sweep.store.search_record import SearchRecord, read_search

from .conftest import JOURNAL, SPACE, FakeLauncher

Searching = Callable[..., FakeLauncher]
ONE, TWO, THREE = (f"hydra.sweeper.n_trials={n}" for n in (1, 2, 3))


def record_of(folder: Path) -> SearchRecord:
    record = read_search(folder)
    assert record is not None
    return record


def numbers(launcher: FakeLauncher) -> list[int]:
    return [number for number, _ in launcher.launched]


def storage_of(what: str, tmp_path: Path) -> list[str]:
    """The setting of a storage, in the sweep's folder or beside it."""
    places = {
        "default": "null",
        "journal": "journal",
        "file": tmp_path / "shared.journal",
        "sqlite": f"sqlite:///{tmp_path / 'shared.db'}",
    }
    return [f"hydra.sweeper.storage={places[what]}"]


@pytest.mark.parametrize("what", ["default", "journal", "file"])
def test_search_goes_on_in_a_renamed_folder(
    what: str, search: Searching, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    storage = storage_of(what, tmp_path)
    search(TWO, *storage)
    before = record_of(tmp_path / "s").trials
    (tmp_path / "s").rename(tmp_path / "renamed")
    with caplog.at_level(logging.INFO):
        again = search(THREE, *storage, sweep="renamed")
    assert numbers(again) == [2]
    record = record_of(tmp_path / "renamed")
    assert (record.study_name, record.trials[:2]) == ("s", before)
    assert f"the search of {tmp_path / 's'} goes on in {tmp_path / 'renamed'}" in caplog.messages
    caplog.clear()
    assert numbers(search(THREE, *storage, sweep="renamed")) == []
    assert "goes on in" not in caplog.text


@pytest.mark.parametrize("what", ["default", "journal"])
def test_copy_with_its_storage_goes_on_by_itself(
    what: str, search: Searching, tmp_path: Path
) -> None:
    storage = storage_of(what, tmp_path)
    search(TWO, *storage)
    shutil.copytree(tmp_path / "s", tmp_path / "copy")
    for sweep in ("copy", "s"):
        assert numbers(search(THREE, *storage, sweep=sweep)) == [2]
    both = [record_of(tmp_path / sweep) for sweep in ("s", "copy")]
    assert both[0].trials == both[1].trials
    assert [record.study_name for record in both] == ["s", "s"]


def test_copy_without_a_storage_of_its_own_is_refused(search: Searching, tmp_path: Path) -> None:
    """Two folders would search in one study, and hold claims of their own on its trials."""
    storage = storage_of("file", tmp_path)
    search(TWO, *storage)
    shutil.copytree(tmp_path / "s", tmp_path / "copy")
    match = rf"storage must be another for the copy .* study s is of {tmp_path / 's'}: go on there"
    with pytest.raises(SettingError, match=match):
        search(THREE, *storage, sweep="copy")
    shutil.rmtree(tmp_path / "s")
    assert numbers(search(THREE, *storage, sweep="copy")) == [2]


def test_folder_under_two_paths_is_no_copy(search: Searching, tmp_path: Path) -> None:
    storage = storage_of("file", tmp_path)
    search(TWO, *storage)
    (tmp_path / "link").symlink_to(tmp_path / "s")
    assert numbers(search(THREE, *storage, sweep="link")) == [2]


def test_study_of_another_sweep_is_refused(search: Searching, tmp_path: Path) -> None:
    storage = storage_of("sqlite", tmp_path)
    search(ONE, *storage)
    (tmp_path / "s").rename(tmp_path / "other")
    match = rf"study_name must be a new study .* got s, which is of {tmp_path / 's'}: choose"
    with pytest.raises(SettingError, match=match):
        search(ONE, *storage)


def test_name_that_was_given_once_is_kept(search: Searching, tmp_path: Path) -> None:
    search(TWO, JOURNAL, "hydra.sweeper.study_name=mine")
    assert numbers(search(THREE, JOURNAL)) == [2]
    assert record_of(tmp_path / "s").study_name == "mine"


def test_another_name_is_refused(search: Searching, tmp_path: Path) -> None:
    """A second study's record would replace the first one's."""
    search(TWO, JOURNAL)
    with pytest.raises(SettingError, match=r"study_name must be s, as .*search.json .* got mine"):
        search(THREE, JOURNAL, "hydra.sweeper.study_name=mine")
    assert len(record_of(tmp_path / "s").trials) == 2


@pytest.mark.parametrize("change", ["another", "deleted"])
def test_storage_without_the_folders_study_is_refused(
    change: str, search: Searching, tmp_path: Path
) -> None:
    search(TWO, *storage_of("default", tmp_path))
    if change == "deleted":
        (tmp_path / "s" / "study.db").unlink()
    storage = storage_of("journal" if change == "another" else "default", tmp_path)
    match = r"storage must hold the study s of .*search.json, which was in .*study.db, but got"
    with pytest.raises(SettingError, match=match):
        search(THREE, *storage)
    assert len(record_of(tmp_path / "s").trials) == 2


LOG_LR = "lr=tag(log,interval(0.001,0.1))"


@pytest.mark.parametrize(
    ("first", "then", "match"),
    [
        ([], ["training.epochs=7"], r"training.epochs .* study s \(3\), but got 7"),
        ([], ["n_seeds=2"], r"n_seeds .* \(1\), but got 2"),
        ([], ["model.dropout=0.2"], r"model.dropout .* \(None\), but got 0.2"),
        (["model.dropout=0.2"], [], r"model.dropout .* \(0.2\), but got None"),
        ([], ["hydra.sweeper.direction=minimize"], r"direction .*maximize.*, but got .*minimize"),
        (
            ["init=quadratic,fixed"],
            ["init=uniform,randn"],
            r"init .* \(searched in 'quadratic', 'fixed'\), but got .* in 'uniform', 'randn'",
        ),
        (
            ["init=randn"],
            ["init=uniform,randn"],
            r"init .* \(randn\), but got searched in 'uniform', 'randn'",
        ),
        (
            ["init=uniform,randn"],
            ["init=randn"],
            r"init .* \(searched in 'uniform', 'randn'\), but got randn",
        ),
        ([], ["lr=0.01"], r"lr .* \(searched in 0.001 ... 0.1, logarithmic\), but got 0.01"),
        (["lr=0.01"], [LOG_LR], r"lr .* \(0.01\), but got searched in 0.001 ... 0.1, logarithmic"),
        ([], ["lr=tag(log,interval(0.001,0.2))"], r"lr .* got searched in 0.001 ... 0.2, logar"),
        ([], ["lr=interval(0.001,0.1)"], r"lr .* got searched in 0.001 ... 0.1: choose"),
        ([], ["rank.min=range(1,16,2)"], r"rank.min .* 1 ... 15\), .* 1 ... 15, in steps of 2"),
        ([], ["alpha.max=interval(3,9)"], r"alpha.max .* \(3.0\), but got searched in 3.0 ... 9"),
        (
            ["training.epochs=4,5"],
            ["training.epochs=4,5", "training.epochs_discrete=2"],
            r"training.epochs_discrete must be the same",
        ),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_another_search_in_the_same_study_is_refused(
    first: Sequence[str], then: Sequence[str], match: str, search: Searching, tmp_path: Path
) -> None:
    search(ONE, JOURNAL, *first)
    with pytest.raises(SettingError, match=match):
        search(TWO, JOURNAL, *then)
    assert len(record_of(tmp_path / "s").trials) == 1


def test_base_may_move_but_not_change(search: Searching, tiny_base: Path, tmp_path: Path) -> None:
    first, second = (Path(shutil.copytree(tiny_base, tmp_path / name)) for name in "ab")
    search(ONE, JOURNAL, f"model.path={first}")
    assert numbers(search(TWO, JOURNAL, f"model.path={second}")) == [1]
    changed = Path(shutil.copytree(tiny_base, tmp_path / "c"))
    config = (changed / "config.json").read_text()
    (changed / "config.json").write_text(config.replace("{", "{ ", 1))
    with pytest.raises(SettingError, match=r"model.content must be the same in all trials"):
        search(THREE, JOURNAL, f"model.path={changed}")


def test_what_changes_no_trial_may_change(search: Searching) -> None:
    search(ONE, JOURNAL)
    changes = (JOURNAL, "tracker=tensorboard", "device=cpu", "hydra/sweeper/sampler=tpe")
    assert numbers(search(TWO, *changes, "hydra.sweeper.n_jobs=1")) == [1]


def test_same_ranges_in_other_words_are_the_same(search: Searching) -> None:
    """Integers between 1 and 15: `interval` has its upper end, `range` has not."""
    search(ONE, JOURNAL)
    other = [one.replace("rank.min=interval(1,15)", "rank.min=range(1,16)") for one in SPACE]
    assert numbers(search(TWO, JOURNAL, space=other[::-1])) == [1]


def test_command_that_was_refused_binds_nobody(search: Searching) -> None:
    grid = "hydra/sweeper/sampler=grid"
    with pytest.raises(SettingError, match=r"lr must be a list of values in a grid"):
        search(TWO, JOURNAL, grid, space=("lr=interval(0.01,0.02)",))
    assert numbers(search(TWO, JOURNAL, grid, space=("lr=0.01,0.02",))) == [0, 1]


def test_differences_are_named_with_both_values() -> None:
    before = Common({"lr": "searched in 1 ... 2"}, {"seed": 0, "data.path": "a"})
    now = Common({"seed": "searched in 0, 1"}, {"lr": 1, "data.file": "b"})
    assert list(before.differences(before)) == []
    assert list(dict.fromkeys(before.differences(now))) == [
        ("lr", "searched in 1 ... 2", 1),
        ("seed", 0, "searched in 0, 1"),
        ("data.path", "a", "nothing"),
        ("data.file", "nothing", "b"),
    ]
