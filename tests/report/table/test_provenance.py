"""What a reader must know before trusting a table."""

from typing import Any

import pytest
from records import epoch_record

from lora_sweep.report.table.collect import collect_runs
from lora_sweep.report.table.provenance import flags, provenance_section
from lora_sweep.report.table.summarise import summarise_runs


def _flags(sweep: Any) -> list[str]:
    runs = collect_runs(sweep.path)
    return flags(runs, summarise_runs(runs))


def _section(sweep: Any, *commands: str) -> str:
    runs = collect_runs(sweep.path)
    return "\n".join(provenance_section(runs, summarise_runs(runs), commands))


def test_clean_sweep_has_no_flag(sweep: Any, settings: Any) -> None:
    sweep.finish("a", 0.6, settings(seed=0))
    sweep.finish("b", 0.7, settings(seed=1))
    assert _flags(sweep) == []
    assert "Nothing is mixed." in _section(sweep)


def test_run_counted_twice_is_flagged(sweep: Any, settings: Any) -> None:
    sweep.finish("a", 0.6, settings(lr=0.1), fingerprint="same")
    sweep.finish("b", 0.6, settings(lr=0.2), fingerprint="same")
    assert _flags(sweep) == ["One run stands in 2 folders and is counted as often: a, b."]


def test_cells_with_identical_values_are_flagged(sweep: Any, settings: Any) -> None:
    for lr in (0.1, 0.2):
        for seed, value in enumerate((0.6, 0.7)):
            sweep.finish(f"{lr}-{seed}", value, settings(lr=lr, seed=seed))
    assert _flags(sweep) == ["Cells with the same value for every seed: those of 0.1-0, 0.2-0."]


@pytest.mark.parametrize(
    ("field", "what"),
    [
        ("git_commit", "code versions"),
        ("device", "devices"),
        ("model_fingerprint", "base models"),
        ("corpus_fingerprint", "corpora"),
    ],
)
def test_mixtures_are_flagged(field: str, what: str, sweep: Any, settings: Any) -> None:
    sweep.finish("a", 0.6, settings(seed=0), **{field: "x"})
    sweep.finish("b", 0.7, settings(seed=1), **{field: "y"})
    assert _flags(sweep) == [f"Mixed {what}, 2 in one table: x (1), y (1)."]


def test_asked_for_corpora_are_no_mixture(sweep: Any, settings: Any) -> None:
    sweep.finish("a", 0.6, settings(data__task="cola"), corpus_fingerprint="x")
    sweep.finish("b", 0.7, settings(data__task="sst2"), corpus_fingerprint="y")
    assert _flags(sweep) == []


def test_metrics_of_other_corpora_are_no_mixture(sweep: Any, settings: Any) -> None:
    sweep.finish("a", 0.6, settings(data__task="cola"), corpus_fingerprint="x")
    other = {"metric": "f1", "epochs": [epoch_record(1, {"f1": 0.8}, rank=20)]}
    sweep.finish("b", 0.8, settings(data__task="mrpc"), corpus_fingerprint="y", **other)
    assert _flags(sweep) == []
    sweep.finish("c", 0.8, settings(data__task="cola", seed=1), corpus_fingerprint="x", **other)
    (flag,) = _flags(sweep)
    assert flag.startswith("Mixed metrics, 2 in one table: ")


def test_runs_are_listed_with_their_files(sweep: Any, settings: Any) -> None:
    sweep.finish("a", 0.61234, settings(lr=0.002, seed=7), collapsed=True)
    sweep.finish("b", 0.7, settings(init="fixed"), selected_metric=0.65, selected_epoch=1)
    text = _section(sweep, "python -m lora_sweep --multirun seed=0,1")
    assert "```sh\npython -m lora_sweep --multirun seed=0,1\n```" in text
    rows = [[cell.strip() for cell in row.split("|")[1:-1]] for row in text.splitlines()[-2:]]
    files = "[config](a/config.yaml) [log](a/run.log)"
    assert "In all rows, where it has an effect: LR 0.002." in text
    expected = ["a (collapsed at the end)", "Uniform", "7", "61.23 (2)", "51.23", "", files]
    assert rows[0] == expected
    assert rows[1][:6] == ["b", "Fixed", "0", "70.00 (2)", "60.00", "65.00"]


def test_names_can_not_inject(sweep: Any, settings: Any) -> None:
    sweep.finish("a|b<i>", 0.6, settings(), fingerprint="same")
    sweep.finish("c", 0.6, settings(), fingerprint="same")
    text = _section(sweep, "python `rm` '```\n# x'")
    assert "a\\|b&lt;i>" in text
    assert r"""python `rm` '```'$'\x0a''# x'""" in text  # on one line, and read as it was typed
    assert "````sh\n" in text  # in a longer fence
