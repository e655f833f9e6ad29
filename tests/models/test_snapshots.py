"""Hub models: the cache is laid out by the tests, and the hub answers as they say."""

import logging
import os
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import huggingface_hub
import pytest
from huggingface_hub import constants
from huggingface_hub.errors import GatedRepoError, OfflineModeIsEnabled, RepositoryNotFoundError

from lora_sweep.errors import BaseModelError
from lora_sweep.models.base import find_base

NAME = "owner/tiny"
WHOLE = ("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json")
TOKENISER_ALONE = ("config.json", "tokenizer.json", "tokenizer_config.json")


class Hub:
    """A cache folder, and a hub that holds some files of the tiny base, or doesn't answer.

    Attributes:
        asked: what was requested of it, in order.
    """

    def __init__(self, cache: Path, base: Path) -> None:
        self.cache, self.base = cache / "models--owner--tiny", base
        self.files: tuple[str, ...] = ()
        self.error: Exception | None = OfflineModeIsEnabled("no network")
        self.asked: list[str] = []

    def keep(self, commit: str, files: tuple[str, ...], *, is_newest: bool = True) -> Path:
        """Lays out a snapshot as the hub's client does: blobs, links to them, the reference."""
        blobs, snapshot = self.cache / "blobs", self.cache / "snapshots" / commit
        for folder in (blobs, snapshot, self.cache / "refs"):
            folder.mkdir(parents=True, exist_ok=True)
        for name in files:
            shutil.copy(self.base / name, blobs / f"of_{name}")
            (snapshot / name).unlink(missing_ok=True)
            (snapshot / name).symlink_to(Path("..", "..", "blobs", f"of_{name}"))
        if is_newest:
            (self.cache / "refs" / "main").write_text(commit)
        return snapshot

    def model_info(self, name: str, timeout: float) -> Any:
        assert name == NAME and timeout <= 10
        self.asked.append("files")
        if self.error is not None:
            raise self.error
        return SimpleNamespace(siblings=[SimpleNamespace(rfilename=f) for f in self.files])

    def download(self, name: str, allow_patterns: list[str]) -> str:
        assert name == NAME and "*.safetensors" in allow_patterns
        self.asked.append("download")
        return str(self.keep("of_the_hub", self.files))


@pytest.fixture
def hub(tmp_path: Path, tiny_base: Path, monkeypatch: pytest.MonkeyPatch) -> Hub:
    hub = Hub(tmp_path, tiny_base)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(huggingface_hub, "HfApi", lambda: hub)
    monkeypatch.setattr(huggingface_hub, "snapshot_download", hub.download)
    return hub


def answering(hub: Hub, *files: str) -> None:
    hub.error, hub.files = None, files


def test_whole_snapshot_is_taken_without_a_request(hub: Hub) -> None:
    snapshot = hub.keep("a", WHOLE)
    hub.keep("b", WHOLE, is_newest=False)
    assert find_base(NAME, None) == snapshot
    assert hub.asked == []


@pytest.mark.parametrize(
    "files", [TOKENISER_ALONE, ("config.json", "model.safetensors"), ("tokenizer.json",)], ids=str
)
def test_part_of_a_snapshot_is_completed(files: tuple[str, ...], hub: Hub) -> None:
    hub.keep("a", files)
    answering(hub, *WHOLE)
    assert find_base(NAME, None).name == "of_the_hub"
    assert hub.asked == ["files", "download"]


@pytest.mark.parametrize("is_partial", [False, True])
def test_older_whole_snapshot_is_taken_where_the_hub_is_silent(
    is_partial: bool, hub: Hub, caplog: pytest.LogCaptureFixture
) -> None:
    older = hub.keep("older", WHOLE, is_newest=False)
    os.utime(hub.keep("oldest", WHOLE, is_newest=False), (1, 1))
    if is_partial:
        hub.keep("newest", TOKENISER_ALONE)
    with caplog.at_level(logging.WARNING):
        assert find_base(NAME, None) == older
    (line,) = caplog.messages
    assert line.startswith("taking the snapshot older from the cache: model.name=owner/tiny is")
    assert hub.asked == ["files"]


def test_part_of_a_snapshot_says_what_is_missing(hub: Hub) -> None:
    hub.keep("a", TOKENISER_ALONE)
    with pytest.raises(
        BaseModelError,
        match=r"^model\.name=owner/tiny is cached in part alone \(must have safetensors weights, "
        r"but .*snapshots/a has none\) and the hub is not reachable \(OfflineModeIsEnabled\): "
        r"download it once .*`hf download owner/tiny`.* model\.path=DIR",
    ):
        find_base(NAME, None)


def test_nothing_cached_says_what_to_do(hub: Hub) -> None:
    with pytest.raises(
        BaseModelError, match=r"tiny is neither cached nor reachable .*hf download"
    ):
        find_base(NAME, None)


def test_blob_that_is_gone_makes_a_part(hub: Hub) -> None:
    hub.keep("a", WHOLE)
    (hub.cache / "blobs" / "of_tokenizer.json").unlink()
    with pytest.raises(BaseModelError, match=r"cached in part alone \(must have a tokeniser"):
        find_base(NAME, None)


def test_pickles_of_the_hub_are_not_downloaded(hub: Hub) -> None:
    answering(hub, "config.json", "pytorch_model.bin", "spm.model")
    with pytest.raises(
        BaseModelError,
        match=r"^model\.name=owner/tiny must have safetensors weights, but the hub has "
        r"pytorch_model\.bin .*examples/convert_base\.py, and give its folder with model\.path",
    ):
        find_base(NAME, None)
    assert hub.asked == ["files"]


def test_download_that_ends_early_is_told(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    answering(hub, *WHOLE)
    partial = hub.keep("a", TOKENISER_ALONE)
    monkeypatch.setattr(huggingface_hub, "snapshot_download", lambda *_, **__: str(partial))
    with pytest.raises(BaseModelError, match=r"^model\.name=owner/tiny must have safetensors"):
        find_base(NAME, None)


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        (GatedRepoError, r"terms accepted: do so on https://huggingface\.co/owner/tiny.*hf auth"),
        (RepositoryNotFoundError, r"is not there or private: look at the spelling, or log in"),
    ],
)
def test_hub_that_refuses_is_told_apart(kind: type[Exception], message: str, hub: Hub) -> None:
    hub.error = kind.__new__(kind)  # its own start wants a whole HTTP response
    with pytest.raises(BaseModelError, match=message):
        find_base(NAME, None)


@pytest.mark.parametrize("name", ["./mine", "owner/tiny"])
def test_folder_given_as_a_name_is_told(
    name: str, hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path(name).mkdir(parents=True)
    with pytest.raises(
        BaseModelError, match=rf"A folder of that name is here: model\.path={name}"
    ):
        find_base(name, None)


@pytest.mark.parametrize("other", ["tiny", "another/tiny"])
def test_namesake_in_the_cache_is_told(other: str, hub: Hub) -> None:
    for cached in (other, "owner/tiny-2", "owner/not-tiny"):
        (hub.cache.parent / f"models--{cached.replace('/', '--')}").mkdir()
    with pytest.raises(BaseModelError, match=rf"\. The cache has model\.name={other}$"):
        find_base(NAME, None)
