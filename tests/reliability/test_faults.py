"""Faults of disk, memory, files and clock, made to happen."""

import json
import os
import shutil
import signal
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from processes import ENVIRONMENT, Fork
from sweeps import (
    PICTURES,
    TORTURE,
    Command,
    can_mount,
    end,
    lines_with,
    mounted_tmpfs,
    remount,
    tree,
    wait_for,
)

from lora_sweep.files import to_checked_json

pytestmark = pytest.mark.slow
FULL_OTHERWISE: list[tuple[int, tuple[str, ...]]] = [(80, ()), (120, ()), (160, ()), (240, ())]
CACHED = ("factors", "tokens")
Disturbed = Callable[..., Command]


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    """Where a file system can be mounted."""
    if not can_mount(tmp_path / "probe"):
        pytest.skip("this user may not mount a file system, so no disk can be filled")
    return tmp_path / "disk"


def _clear_error(output: str) -> str:
    """The one error of an output, which has no traceback."""
    assert "Traceback" not in output, output
    assert "Logging error" not in output, output
    (line,) = lines_with(output, "error: ")
    return line


def test_disk_that_is_full_at_some_point(
    disk: Path, undisturbed: Command, sweep_arguments: list[str]
) -> None:
    """The same command on a disk that grows, and is full again."""
    sizes: list[tuple[int, tuple[str, ...]]] = [(40, ()), (200, ()), (320, PICTURES)]
    with mounted_tmpfs(disk, "size=40k"):
        command = Command(disk / "x", *sweep_arguments, "hydra.launcher.pack_size=4")
        for kilobytes, more in sorted([*sizes, *(FULL_OTHERWISE if TORTURE else [])]):
            remount(disk, f"size={kilobytes}k")
            code, output = command.run(*more)
            assert code == 1
            assert "No space left on device" in output
            assert "the same command goes on once there is room" in output
            _clear_error(output)
        remount(disk, "size=64m")
        command.run()
        assert command.numbers() == undisturbed.numbers()


def test_read_only_folder(disk: Path, finished: Command) -> None:
    with mounted_tmpfs(disk, "size=64m"):
        command = Command(disk / "x", *finished.arguments)
        remount(disk, "ro")
        code, output = command.run()
        assert code == 1
        assert "Read-only file system" in _clear_error(output)
        assert tree(disk) == {}
        remount(disk, "rw")
        shutil.copytree(finished.folder, command.folder, dirs_exist_ok=True)
        before = tree(disk)
        remount(disk, "ro")
        code, output = command.run("finished=overwrite")
        assert code == 1 and "Read-only file system" in _clear_error(output)
        assert tree(disk) == before


@pytest.mark.parametrize("damage", ["cut", *(["flipped"] if TORTURE else [])])
def test_damaged_checkpoint_is_set_aside(
    damage: str, undisturbed: Command, disturbed: Disturbed
) -> None:
    command = disturbed()
    command.run_until(lambda: len(command.checkpoints()) >= 2, signal.SIGTERM)
    newest = command.checkpoints()[-1]
    _damage(newest, damage)
    (said,) = _set_aside(command)
    assert newest.name in said
    assert command.numbers() == undisturbed.numbers()


SEARCH = ("--multirun", "search=rank_range", "rank.min=1,2", "rank.max=3,4", "rank.average=2")


@pytest.mark.parametrize("how", [(), SEARCH], ids=["run", "search"])
def test_command_typed_in_a_read_only_folder(
    how: tuple[str, ...], disk: Path, tiny_settings: list[str]
) -> None:
    """As in another user's checkout: the place that can't be written to is named."""
    own = [setting for setting in tiny_settings if not how or not setting.startswith("rank.")]
    with mounted_tmpfs(disk, "size=1m"):
        remount(disk, "ro")
        command = ["lora_sweep", *how, *own]
        code, output = end(Fork(command, cwd=disk, env={**os.environ, **ENVIRONMENT}))
        assert code == 1
        error = _clear_error(output)
        assert "Read-only file system" in error and "outputs" in error


@pytest.mark.parametrize(
    ("of_factors", "of_tokens"),
    [("flipped", "cut"), *([("cut", "flipped")] if TORTURE else [])],
)
def test_damaged_cache_is_set_aside_and_made_again(
    of_factors: str, of_tokens: str, undisturbed: Command, finished: Command
) -> None:
    found = [next(finished.folder.glob(f"cache/{what}/*.safetensors")) for what in CACHED]
    for path, damage in zip(found, (of_factors, of_tokens), strict=True):
        _damage(path, damage)
    shutil.rmtree(finished.sweep_dir)  # so that the caches are needed
    said = _set_aside(finished)
    for path in found:
        assert len([line for line in said if path.name in line]) == 1
        assert path.with_name(f"{path.name}.damaged").exists()
    assert len(said) == len(found)
    assert finished.numbers() == undisturbed.numbers()


@pytest.mark.parametrize("damage", ["flipped", *(["cut"] if TORTURE else [])])
def test_damaged_result_is_set_aside_and_made_again(damage: str, finished: Command) -> None:
    path = sorted(finished.sweep_dir.glob("*/result.json"))[0]
    _damage(path, damage)
    (said,) = _set_aside(finished)
    assert path.name in said
    assert path.with_name(f"{path.name}.damaged").exists()
    # Its run trains again beside nobody, so that the last bits may differ.
    assert len(list(finished.sweep_dir.glob("*/result.json"))) == 4


def _set_aside(command: Command) -> Sequence[str]:
    """The lines that say so, of the command on its way to the usual end."""
    code, output = command.run()
    assert code == 1 and "1 of 3 jobs failed" in output, output
    return lines_with(output, "set aside as")


def _damage(path: Path, damage: str) -> None:
    content = bytearray(path.read_bytes())
    if damage == "cut":
        del content[len(content) // 2 :]
    else:
        content[len(content) * 3 // 4] ^= 1
    path.write_bytes(content)


def test_base_model_that_changed_is_found_by_its_content(
    tmp_path: Path, tiny_base: Path, sweep_arguments: list[str]
) -> None:
    base = tmp_path / "base"
    shutil.copytree(tiny_base, base)
    own = [f"model.path={base}" if a.startswith("model.path=") else a for a in sweep_arguments]
    command = Command(tmp_path / "x", *own, "learning_rate.head=0.01", "n_seeds=1")
    command.run_until(lambda: len(command.checkpoints()) >= 1, signal.SIGTERM)
    before = tree(command.sweep_dir)
    weights, times = base / "model.safetensors", os.stat(base / "model.safetensors")
    _damage(weights, "flipped")
    os.utime(weights, ns=(times.st_atime_ns, times.st_mtime_ns))  # nothing but the content tells
    for more in ((), ("init=randn",)):
        code, output = command.run(*more)
        assert code == 1
        assert f"must hold runs of one base model {base}" in _clear_error(output)
    after = tree(command.sweep_dir)
    assert {k: v for k, v in after.items() if k in before and "sweep.json" not in k} == {
        k: v for k, v in before.items() if "sweep.json" not in k
    }


def test_two_versions_of_the_code_are_not_mixed(finished: Command) -> None:
    packs = finished.sweep_dir / ".packs" / "packs.json"
    fields = json.loads(packs.read_text())
    fields["origins"]["version of the code"] = "1"
    del fields["sha256"]
    packs.write_text(to_checked_json(fields))
    code, output = finished.run("init=randn")
    assert code == 1
    assert "must hold runs of one version of the code" in _clear_error(output)
    assert len(finished.runs) == 6


def test_run_folder_deleted_in_the_middle(undisturbed: Command, disturbed: Disturbed) -> None:
    command = disturbed()
    process = command.start()
    wait_for(lambda: bool(command.checkpoints()))
    process.send_signal(signal.SIGSTOP)
    lost = command.checkpoints()[0].parent.parent
    shutil.rmtree(lost)
    process.send_signal(signal.SIGCONT)
    code, output = end(process)
    assert code == 1
    assert "its folder was deleted while it trained" in output
    assert "2 of 3 jobs failed, the others are trained" in output
    code, output = command.run()
    assert code == 1 and "1 of 3 jobs failed" in output
    assert {run.name for run in command.runs} == {run.name for run in undisturbed.runs}
    ours, expected = command.numbers(), undisturbed.numbers()
    untouched = [name for name in expected if not name.startswith((lost.name, "re"))]
    assert {n: ours[n] for n in untouched} == {n: expected[n] for n in untouched}


def test_read_only_places_are_read(disk: Path, finished: Command, tmp_path: Path) -> None:
    """A filled cache, a sweep's report and its status need no writing."""
    with mounted_tmpfs(disk, "size=64m"):
        first = Command(disk / "x", *finished.arguments)
        shutil.copytree(finished.folder, first.folder, dirs_exist_ok=True)
        # The last `paths.cache` holds: not the session's own.
        arguments = [*finished.arguments, f"paths.cache={first.folder / 'cache'}"]
        remount(disk, "ro")
        before = tree(disk)
        again = Command(tmp_path / "again", *arguments)
        again.run()
        assert again.numbers() == first.numbers()
        for module, said in (
            ("report", f"nothing was written: {first.sweep_dir} is read-only"),
            ("status", "finished"),
        ):
            command = [f"lora_sweep.{module}", str(first.sweep_dir)]
            code, output = end(Fork(command, cwd=tmp_path, env={**os.environ, **ENVIRONMENT}))
            assert code == 0, output
            assert said in output
        assert tree(disk) == before
        _, output = Command(tmp_path / "other", *arguments, "data.max_length=9").run()
        assert "another cache: paths.cache (or LORA_SWEEP_CACHE" in output
        assert "Read-only file system" in output
