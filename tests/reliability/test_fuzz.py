"""Whatever stands in a file: it is read as what it is, or refused in words."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lora_sweep.data.tables import read_table
from lora_sweep.errors import CorpusError, LoraSweepError, RecordError
from lora_sweep.report.table.courses import read_first_steps, read_start_ranks
from lora_sweep.store.checkpoint import read_checkpoint
from lora_sweep.store.sweep_list import read_sweep

SUFFIXES = (".csv", ".tsv", ".jsonl", ".parquet")
JSON_LIKE = st.text(alphabet='{}[]",:\\0123456789.eE-+ \nNaIntrufls' + "textlabel")
CONTENT = st.one_of(
    st.binary(max_size=200),
    st.text(max_size=100).map(str.encode),
    JSON_LIKE.map(str.encode),
    st.binary(max_size=60).map(lambda rest: b"text\tlabel\n" + rest),
    st.binary(max_size=60).map(lambda rest: b"text,label\n" + rest),
    st.binary(max_size=60).map(lambda rest: b'{"text": "a", "label": 1}\n' + rest),
    st.binary(max_size=60).map(lambda rest: b'{"kind": "ranks", "step": 0, "ranks": [1]}' + rest),
    st.just(b"[" * 100_000),
    st.just(b'{"a":' * 100_000),
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fuzz")


@given(content=CONTENT, suffix=st.sampled_from(SUFFIXES))
def test_data_file(content: bytes, suffix: str, folder: Path) -> None:
    path = folder / f"data{suffix}"
    path.write_bytes(content)
    try:
        table = read_table(path, ["text", "label"])
    except CorpusError as error:
        assert str(path) in str(error)
        return
    assert set(table.columns) == {"text", "label"}
    assert {len(values) for values in table.columns.values()} == {len(table.numbers)}


@given(content=CONTENT)
def test_history(content: bytes, folder: Path) -> None:
    (folder / "history.jsonl").write_bytes(content)
    try:
        ranks = read_start_ranks(folder)
        assert ranks is None or all(isinstance(rank, float) for rank in ranks)
    except RecordError as error:
        assert "history.jsonl can't be read" in str(error)
    assert all(len(ranks) == 1 for _, ranks in read_first_steps(folder, 1))


@given(content=CONTENT)
def test_checkpoint(content: bytes, folder: Path) -> None:
    (folder / "0001-000000005.safetensors").write_bytes(content)
    assert read_checkpoint(folder, (1, 5), "f") is None


@given(content=CONTENT)
def test_sweep_list(content: bytes, folder: Path) -> None:
    (folder / "sweep.json").write_bytes(content)
    with pytest.raises(LoraSweepError, match=r"sweep\.json"):
        read_sweep(folder)
