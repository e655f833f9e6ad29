"""What docs/library.md shows runs as it stands there, and is as short as it says."""

import re
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader
from transformers import AutoConfig, AutoModel, AutoModelForSequenceClassification

import lora_sweep

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "library.md").read_text(encoding="utf-8")
SNIPPETS = re.findall(r"^## [^\n]*: (\d+) lines.*?^```python\n(.*?)^```", PAGE, re.M | re.S)
LARGE_ENOUGH = 32


@pytest.fixture
def base(tmp_path: Path) -> Path:
    """A folder with a random RoBERTa of 2 layers, whose matrices can have rank 25."""
    config = AutoConfig.for_model(
        "roberta",
        hidden_size=LARGE_ENOUGH,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=LARGE_ENOUGH,
        vocab_size=40,
        max_position_embeddings=20,
    )
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        AutoModel.from_config(config).save_pretrained(tmp_path / "base")
    return tmp_path / "base"


def _rows(n: int) -> list[dict[str, Any]]:
    return [
        {"input_ids": [0, 3 + i % 30, 4, 2], "attention_mask": [1] * 4, "labels": i % 2}
        for i in range(n)
    ]


def test_page_has_both_ways_to_train_and_one_to_export() -> None:
    calls = [("Trainer(" in code, "export_peft(" in code) for _, code in SNIPPETS]
    assert calls == [(False, False), (True, False), (False, True)]


@pytest.mark.parametrize(("n_lines", "code"), SNIPPETS, ids=["own loop", "trainer", "peft"])
def test_snippet_is_as_short_as_it_says(n_lines: str, code: str) -> None:
    assert len([line for line in code.splitlines() if line.strip()]) == int(n_lines) < 20


@pytest.mark.parametrize("code", [code for _, code in SNIPPETS[:2]], ids=["own loop", "trainer"])
# Of the Trainer on a CPU.
@pytest.mark.filterwarnings("ignore:.*pin_memory.*:UserWarning")
def test_snippet_trains(
    code: str,
    base: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    if "Trainer(" in code:
        pytest.importorskip("accelerate", reason="transformers' Trainer needs accelerate")
    monkeypatch.chdir(tmp_path)

    def collate(rows: list[dict[str, Any]]) -> dict[str, torch.Tensor]:
        return {name: torch.tensor([row[name] for row in rows]) for name in rows[0]}

    train = _rows(16)
    loader = DataLoader(train, batch_size=4, collate_fn=collate)  # type: ignore[arg-type]
    given = {"base": base, "loader": loader, "train": train, "collate": collate}
    exec(compile(code, "docs/library.md", "exec"), given)
    adapter = given["adapter"]
    assert isinstance(adapter, lora_sweep.LoRAXSAdapter)
    assert adapter.length is not None
    assert adapter.step == adapter.length[0] * adapter.length[1]
    ranks = adapter.integer_ranks()
    assert sum(rank * rank for rank in ranks.values()) <= 8 * 20**2
    assert str(ranks) in capsys.readouterr().out


# PEFT asks transformers for a property by its old name.
@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")
def test_snippet_exports(base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("peft")
    monkeypatch.chdir(tmp_path)
    model = AutoModelForSequenceClassification.from_pretrained(base, num_labels=2)
    nn.init.normal_(lora_sweep.adapt(model).R, std=0.3)
    stock = AutoModelForSequenceClassification
    given = {stock.__name__: stock, "base": base, "model": model}
    exec(SNIPPETS[2][1], given)
    batch = {"input_ids": torch.tensor([[0, 5, 4, 2]]), "attention_mask": torch.ones(1, 4)}
    expected, found = model.eval()(**batch).logits, given["again"](**batch).logits
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)


def test_reference_lists_every_public_name() -> None:
    page = (DOCS / "api" / "library.md").read_text(encoding="utf-8")
    listed = re.findall(r"^\.\. auto(?:function|class):: (\w+)$", page, re.M)
    assert sorted(listed) == sorted(lora_sweep.__all__)
