"""The benchmark's own logic; its figures are nobody's expected values."""

import math
from pathlib import Path

import pytest
import torch

from bench import __main__ as bench_main
from bench.gpu import right, speed, whole
from bench.gpu.checks import Check, line, run_checks
from bench.measure import Row, paired
from bench.page import BEGIN, END, PAGE, with_figures
from bench.work import Shape
from lora_sweep.data.sources import load_minimal_pairs
from lora_sweep.models.base import load_tokenizer

CPU = torch.device("cpu")


def test_pairs_are_called_in_turn() -> None:
    calls: list[str] = []
    pairs = paired(lambda: calls.append("a"), lambda: calls.append("b"), n_pairs=2)
    assert "".join(calls) == "ababab"  # one of each to warm up
    assert len(pairs) == 2 and all(second >= 0 for pair in pairs for second in pair)


def test_bar_is_met_on_its_good_side() -> None:
    assert Row("", "", ">= 2", [1.0, 2.0, 3.0], "").is_met
    assert not Row("", "", ">= 2", [1.9], "").is_met
    assert Row("", "", "<= 2", [2.0], "").is_met
    assert not Row("", "", "<= 2", [2.1], "").is_met


def test_gpu_battery_is_right_on_a_cpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The checks that need no GPU; a CPU compared with itself must be equal in every bit."""
    monkeypatch.setattr(right, "N_TEXTS", 128)
    checks = right.checks(CPU, tmp_path, tmp_path)
    results = run_checks(checks, until=math.inf)
    assert {result.name: result.is_met for result in results} == {c.name: True for c in checks}
    assert results[0].value == 0


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")  # PEFT's own call
def test_gpu_speeds_have_figures_on_a_cpu() -> None:
    shape = Shape(n_layers=1, d=32, n_heads=2)
    checks = speed.checks(speed.work(CPU, shape, (1, 2), n_train=640, n_dev=16))
    results = run_checks(checks, until=math.inf)
    assert len(results) == 8
    assert not [line(result) for result in results if not math.isfinite(result.value)]


def test_small_base_knows_all_words(tmp_path: Path) -> None:
    tokenizer = load_tokenizer(whole.small_base(tmp_path))
    corpus = load_minimal_pairs(seed=0, n_train=2000, n_dev=200, n_out_of_domain=100)
    unknown = tokenizer.unk_token_id
    assert all(unknown not in tokenizer(text)["input_ids"] for text in corpus.train.texts)


def test_check_that_breaks_fails_and_costs_no_other(capsys: pytest.CaptureFixture[str]) -> None:
    def breaks() -> tuple[float, str]:
        raise RuntimeError("no such kernel")

    broken, good, late = run_checks(
        [Check("a", "<= 1", breaks), Check("b", "<= 1", lambda: (0.5, ""))], until=math.inf
    ) + run_checks([Check("c", "", lambda: (1.0, ""))], until=-math.inf)
    assert (broken.is_met, good.is_met, late.is_met) == (False, True, None)
    assert "RuntimeError: no such kernel" in broken.details and "time was over" in late.details
    assert "NOT MET" in capsys.readouterr().out


def test_figures_are_put_between_their_lines_of_the_page() -> None:
    page = PAGE.read_text(encoding="utf-8")
    before, _, rest = page.partition(f"{BEGIN}\n")
    figures, _, after = rest.partition(f"\n{END}\n")
    assert "| step vs peer " in figures and "## A step" in after
    assert with_figures(page, "new") == f"{before}{BEGIN}\nnew\n{END}\n{after}"
    assert with_figures(page, figures) == page


def test_page_has_the_figures_of_every_processor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page, results = tmp_path / "page.md", tmp_path / "results"
    results.mkdir()
    page.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    monkeypatch.setattr(bench_main, "PAGE", page)
    monkeypatch.setattr(bench_main, "RESULTS", results)
    about = {
        "threads": 2, "python": "3.13", "versions": {"torch": "2.9"}, "commit": "abc",
        "corpus": "CoLA", "data": "None.", "products": "products at 3 GFLOP/s",
    }  # fmt: skip
    for processor, value in (("Intel Xeon", 2.5), ("AMD EPYC", 1.5), ("Intel Xeon", 3.5)):
        row = Row("step", "steps per second", ">= 2", [value], "1 pair")
        bench_main._write([row], about | {"processor": processor, "instructions": "AVX2"})
    assert {file.name for file in results.iterdir()} == {
        "intel_xeon_avx2.json",
        "amd_epyc_avx2.json",
    }
    text = page.read_text()
    assert text.startswith("before\n") and text.endswith("after\n") and "old" not in text
    rows = [[cell.strip() for cell in line.split("|")] for line in text.splitlines()]
    of_step = [cells[2:6] for cells in rows if cells[1:2] == ["step"]]
    assert of_step == [["1.5", "", ">= 2", "NO"], ["3.5", "", ">= 2", "yes"]]  # measured again
    assert "### AMD EPYC, 2 threads" in text and "products at 3 GFLOP/s" in text
