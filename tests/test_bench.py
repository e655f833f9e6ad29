"""The benchmark's own logic; its figures are nobody's expected values."""

import torch
from toy import make_texts

from bench.cuda import roberta_large
from bench.measure import Row, paired
from bench.page import BEGIN, END, PAGE, with_figures


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


def test_gpu_rows_work_on_a_cpu_at_a_small_size() -> None:
    lines = roberta_large(make_texts(), torch.device("cpu"), (1, 2), n_layers=1, d=32, n_heads=2)
    assert [line["K"] for line in lines] == [1, 2]
    assert all(line["run-steps per second"] > 0 for line in lines)


def test_figures_are_put_between_their_lines_of_the_page() -> None:
    page = PAGE.read_text(encoding="utf-8")
    before, _, rest = page.partition(f"{BEGIN}\n")
    figures, _, after = rest.partition(f"\n{END}\n")
    assert "| step vs peer " in figures and "## A step" in after
    assert with_figures(page, "new") == f"{before}{BEGIN}\nnew\n{END}\n{after}"
    assert with_figures(page, figures) == page
