"""Wrong arguments, data and models: one clear message, and finished work untouched.

Whole commands, in this process, take a quarter of a second: a few of each kind are given to one.
All others go straight to what refuses them, which says the same.
"""

import json
import logging
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from bad_input import (
    COMMANDS,
    DEV_FILES,
    FILES,
    HEADER,
    NOT_THERE,
    OUT_OF_RANGE,
    WRONG_TYPES,
)
from hydra.core.global_hydra import GlobalHydra
from safetensors.torch import load_file, save_file
from sweeps import tree

from lora_sweep import cli
from lora_sweep.config.arguments import check_arguments
from lora_sweep.config.run import RunConfig
from lora_sweep.error_lines import EXPECTED, MAX_ERROR_LINES, error_lines
from lora_sweep.execution.execute import check_inputs
from lora_sweep.execution.inputs import base_folder, load_adapted_encoder, load_texts

Refused = Callable[..., str]


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory, tiny_corpus: Path) -> Path:
    """A folder with all the files that can't be used beside the good ones."""
    folder = tmp_path_factory.mktemp("bad") / "corpus"
    shutil.copytree(tiny_corpus, folder)
    for name, (content, _) in (FILES | DEV_FILES).items():
        (folder / name).write_bytes(content)
    train = (folder / "train.tsv").read_bytes().splitlines(keepends=True)
    (folder / "overlap.tsv").write_bytes(HEADER + train[1])
    (folder / "folder.tsv").mkdir()
    return folder


@pytest.fixture(scope="session")
def finished(
    tmp_path_factory: pytest.TempPathFactory, tiny_settings: list[str], corpus: Path
) -> list[str]:
    """Arguments of a cell in a folder that holds its finished run."""
    from sweeps import Command

    folder = tmp_path_factory.mktemp("finished")
    settings = [a for a in tiny_settings if not a.startswith("data.path=")]
    command = Command(folder, *settings, f"data.path={corpus}", f"paths.cache={folder / 'cache'}")
    code, output = command.run()
    assert code == 0, output
    return [*command.arguments, f"paths.outputs={folder / 'outputs'}"]


def _finished_work(outputs: Path) -> dict[str, str]:
    """All files of the finished run but Hydra's note of the last command."""
    return {name: content for name, content in tree(outputs / "tiny").items()
            if name.count("/") == 1 and not name.startswith(".")}  # fmt: skip


@pytest.fixture
def refused(
    finished: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Iterator[Refused]:
    """More arguments -> what was said of them, after all that holds for every bad input."""
    outputs = Path(finished[-1].partition("=")[2])
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level

    def call(*more: str) -> str:
        monkeypatch.setenv("HYDRA_FULL_ERROR", "")
        monkeypatch.setenv("LORA_SWEEP_DEBUG", "")
        GlobalHydra.instance().clear()
        before = _finished_work(outputs)
        monkeypatch.setattr(sys, "argv", ["lora_sweep", *finished, *more])
        with pytest.raises(SystemExit) as end:
            cli.main()
        assert end.value.code not in (0, None)
        said = capsys.readouterr()
        lines = said.err.splitlines()
        assert 1 <= len(lines) <= MAX_ERROR_LINES, said.err
        assert "Traceback" not in said.out + said.err
        after = _finished_work(outputs)
        assert {name: after.get(name) for name in before} == before
        return said.err

    yield call
    GlobalHydra.instance().clear()
    root.handlers, root.level = handlers, level


@pytest.fixture
def complaint(finished: list[str], composed: Callable[..., RunConfig]) -> Refused:
    """More arguments -> what the command would say of them, without a command."""

    def check(*more: str) -> str:
        with pytest.raises(EXPECTED) as caught:
            check_arguments([*finished, *more], is_multirun=False)
            config = composed(*finished, *more)
            check_inputs(config)
            base = base_folder(config)
            load_texts(config, base)
            load_adapted_encoder(config, base, torch.device("cpu"))
        lines = error_lines(caught.value)
        assert 1 <= len(lines) <= MAX_ERROR_LINES
        return "\n".join(lines)

    return check


@pytest.mark.parametrize(
    ("arguments", "message"),
    [*COMMANDS, *WRONG_TYPES[::12], *OUT_OF_RANGE[::12], *NOT_THERE[::12]],
    ids=lambda text: text[:40],
)
def test_wrong_command(arguments: str, message: str, refused: Refused, tmp_path: Path) -> None:
    said = refused(*arguments.replace("DIR", str(tmp_path)).split(" "))
    assert message in said


@pytest.mark.parametrize(
    ("arguments", "message"), [*WRONG_TYPES, *OUT_OF_RANGE, *NOT_THERE], ids=lambda text: text[:40]
)
def test_wrong_setting(arguments: str, message: str, complaint: Refused, tmp_path: Path) -> None:
    said = complaint(*arguments.replace("DIR", str(tmp_path)).split(" "))
    assert message in said


@pytest.mark.parametrize("name", FILES)
def test_training_file(name: str, complaint: Refused) -> None:
    assert FILES[name][1] in complaint(f"data.train={name}")


@pytest.mark.parametrize("name", DEV_FILES)
def test_dev_file(name: str, complaint: Refused) -> None:
    assert DEV_FILES[name][1] in complaint(f"data.dev={name}")


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("data.train=latin.tsv", FILES["latin.tsv"][1]),
        ("data.dev=dev_label.tsv", DEV_FILES["dev_label.tsv"][1]),
        ("data.dev=overlap.tsv", "stand in more than one split: 1"),
        ("data.train=folder.tsv", "folder.tsv: can't be read: Is a directory"),
    ],
    ids=["bytes", "label", "overlap", "folder"],
)
def test_command_with_a_wrong_file(argument: str, message: str, refused: Refused) -> None:
    assert message in refused(argument)


def _no_config(base: Path) -> None:
    (base / "config.json").unlink()


def _config_is_no_json(base: Path) -> None:
    (base / "config.json").write_text("{")


def _config_is_a_list(base: Path) -> None:
    (base / "config.json").write_text("[]")


def _no_hidden_size(base: Path) -> None:
    _change_config(base, hidden_size=None)


def _other_shapes(base: Path) -> None:
    _change_config(base, intermediate_size=99)


def _unknown_family(base: Path) -> None:
    _change_config(base, model_type="of_tomorrow")


def _code_from_the_hub(base: Path) -> None:
    _change_config(base, model_type="mine", auto_map={"AutoConfig": "evil.Config"})
    (base / "evil.py").write_text("raise SystemExit('code of the hub was run')")


def _no_weights(base: Path) -> None:
    (base / "model.safetensors").unlink()


def _pickled_weights(base: Path) -> None:
    torch.save(load_file(base / "model.safetensors"), base / "pytorch_model.bin")
    (base / "model.safetensors").unlink()


def _cut_weights(base: Path) -> None:
    content = (base / "model.safetensors").read_bytes()
    (base / "model.safetensors").write_bytes(content[: len(content) // 2])


def _empty_weights(base: Path) -> None:
    (base / "model.safetensors").write_bytes(b"")


def _nan_weights(base: Path) -> None:
    tensors = load_file(base / "model.safetensors")
    name = next(name for name in tensors if name.endswith("query.weight"))
    tensors[name][0, 0] = float("nan")
    save_file(tensors, base / "model.safetensors", {"format": "pt"})


def _no_tokenizer(base: Path) -> None:
    for path in base.glob("token*"):
        path.unlink()


def _tokenizer_is_no_json(base: Path) -> None:
    (base / "tokenizer.json").write_text("{")


def _change_config(base: Path, **fields: object) -> None:
    config = json.loads((base / "config.json").read_text()) | fields
    kept = {name: value for name, value in config.items() if value is not None}
    (base / "config.json").write_text(json.dumps(kept))


BASES = [
    (_no_config, "must be a folder with a config.json"),
    (_config_is_no_json, "config.json"),
    (_config_is_a_list, "config.json"),
    (_no_hidden_size, "hidden_size"),
    (_other_shapes, "can't be loaded"),
    (_unknown_family, "of_tomorrow"),
    (_code_from_the_hub, "model_type must be one of"),
    (_no_weights, "must have safetensors weights"),
    (_pickled_weights, "pickled weights are never read"),
    (_cut_weights, "can't be loaded"),
    (_empty_weights, "can't be loaded"),
    (_nan_weights, "weight must be finite, but got NaN"),
    (_no_tokenizer, "tokeni"),
    (_tokenizer_is_no_json, "tokeni"),
]


@pytest.mark.parametrize(
    ("change", "message"), BASES, ids=lambda value: getattr(value, "__name__", "")
)
def test_base_model(
    change: Callable[[Path], None],
    message: str,
    complaint: Refused,
    tiny_base: Path,
    tmp_path: Path,
) -> None:
    base = tmp_path / "base"
    shutil.copytree(tiny_base, base)
    change(base)
    assert message in complaint(f"model.path={base}")


@pytest.mark.parametrize(
    ("change", "message"), BASES[1::5], ids=lambda value: getattr(value, "__name__", "")
)
def test_command_with_a_wrong_base(
    change: Callable[[Path], None], message: str, refused: Refused, tiny_base: Path, tmp_path: Path
) -> None:
    base = tmp_path / "base"
    shutil.copytree(tiny_base, base)
    change(base)
    assert message in refused(f"model.path={base}")


@pytest.mark.parametrize(
    ("place", "target"),
    [
        ("launcher", "os.system"),
        ("sweeper", "builtins.eval"),
        ("callbacks.report", "subprocess.run"),
        ("callbacks.mine", "pathlib.Path"),
    ],
)
def test_code_of_others_is_not_run(place: str, target: str, refused: Refused) -> None:
    sign = "++" if place.endswith("mine") else ""
    said = refused("-m", "seed=0,1", f"{sign}hydra.{place}._target_={target}")
    assert target in said or "_target_" in said


def test_sweep_folder_that_is_a_file(refused: Refused, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    said = refused(f"paths.outputs={tmp_path / 'file'}")
    assert "file" in said and "Not a directory" in said


def test_run_folder_that_is_a_link(refused: Refused, finished: list[str], tmp_path: Path) -> None:
    sweep = Path(finished[-1].partition("=")[2]) / "tiny"
    run = next(path.parent for path in sweep.glob("*/result.json"))
    (tmp_path / "outputs" / "tiny").mkdir(parents=True)
    (tmp_path / "outputs" / "tiny" / run.name).symlink_to(tmp_path)
    said = refused(f"paths.outputs={tmp_path / 'outputs'}")
    assert "must be a folder of its own, but got a link" in said


@pytest.mark.parametrize("flag", ["--debug", "HYDRA_FULL_ERROR"])
def test_traceback_is_there_for_the_asking(
    flag: str, refused: Refused, monkeypatch: pytest.MonkeyPatch, finished: list[str]
) -> None:
    refused("lr=-1")
    monkeypatch.setattr(sys, "argv", ["lora_sweep", *finished, "lr=-1"])
    monkeypatch.setenv("HYDRA_FULL_ERROR", "")
    if flag == "--debug":
        sys.argv.append(flag)
    else:
        monkeypatch.setenv(flag, "1")
    GlobalHydra.instance().clear()
    with pytest.raises(Exception, match="lr must be at least 0"):
        cli.main()
    os.environ.pop("LORA_SWEEP_DEBUG", None)
