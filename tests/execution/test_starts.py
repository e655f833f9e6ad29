"""Runs that start from another run: from its adapter, its logits, or its ranks."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from lora_sweep.config.run import RunConfig
from lora_sweep.errors import LoraSweepError, RecordError, SettingError
from lora_sweep.execution.content import runs_of
from lora_sweep.execution.execute import run_cell, run_cells
from lora_sweep.execution.group import Options
from lora_sweep.store.finished import FinishedRun, read_finished
from lora_sweep.store.record import RunRecord, read_result

STILL = ("lr=0", "learning_rate.adapter=0", "learning_rate.head=0")
CLS = "model.pooling=cls"

Train = Callable[..., FinishedRun]


@pytest.fixture
def train(tiny_run: list[str], tmp_path: Path, composed: Callable[..., RunConfig]) -> Train:
    """Overrides -> the finished run of a cell over the base that `bert` was trained over."""

    def run(*overrides: str) -> FinishedRun:
        config = composed(*tiny_run, CLS, *overrides)
        run_cell(config)
        (name,) = runs_of(config)
        return read_finished(tmp_path / "outputs" / "tiny" / name)

    return run


@pytest.fixture
def source(trained_runs: dict[str, Path]) -> FinishedRun:
    return read_finished(trained_runs["bert"])


def head_of(run: FinishedRun) -> dict[str, Any]:
    return {name: part.tolist() for name, part in run.state.items() if name.startswith("head.")}


def test_logits_start_as_another_run_left_them(train: Train, source: FinishedRun) -> None:
    run = train("init=from_run", f"init.run={source.folder}", "seed=7", *STILL)
    assert torch.equal(run.state["logits"], source.state["logits"])
    assert run.folder.name.startswith("from_run-r1_4_2-lr0-seed7-")
    assert source.state["logits"].abs().max() > 0


def test_frozen_ranks_are_another_runs_throughout(train: Train, source: FinishedRun) -> None:
    run = train("init=from_run", f"init.run={source.folder}", "init.freeze=true", "seed=7")
    assert [epoch.integer_ranks for epoch in run.record.epochs] == [source.integer_ranks] * 2
    assert len(set(source.integer_ranks)) > 1
    spent = sum(rank**2 for rank in source.integer_ranks)
    assert run.record.epochs[0].budget_params == run.record.epochs[0].budget_spent_params == spent
    assert "logits" not in run.state
    assert run.record.n_trained_params["logits"] == 0
    assert run.folder.name.startswith("from_run-frozen-r4-seed7-")


def test_still_run_on_anothers_adapter_and_ranks_is_that_run(
    train: Train, source: FinishedRun
) -> None:
    where = (f"init.run={source.folder}", "init.freeze=true", f"model.adapter={source.folder}")
    run = train("init=from_run", *where, "seed=7", *STILL)
    expected = source.record.reported_evaluation.metrics
    assert [epoch.metrics for epoch in run.record.epochs] == [expected] * 2
    assert torch.equal(run.state["R"], source.state["R"])
    assert head_of(run) == head_of(source)


def test_adapter_alone_leaves_the_head_fresh(train: Train, source: FinishedRun) -> None:
    run = train(f"model.adapter={source.folder}", "model.adapter_head=false", "seed=7", *STILL)
    assert torch.equal(run.state["R"], source.state["R"])
    assert head_of(run) == head_of(train("seed=7", *STILL))


def test_head_is_left_where_labels_differ(
    train: Train, source: FinishedRun, tmp_path: Path
) -> None:
    texts = ["a cat sees", "a dog sees", "the bird hears", "red cow", "old cow not", "a bird"]
    for name in ("train", "dev"):
        rows = [f"{text} {name},{place % 3}" for place, text in enumerate(texts)]
        (tmp_path / f"{name}.csv").write_text("\n".join(["text,label", *rows]) + "\n")
    data = (f"data.path={tmp_path}", "data.train=train.csv", "data.dev=dev.csv")
    run = train(f"model.adapter={source.folder}", *data, *STILL)
    assert torch.equal(run.state["R"], source.state["R"])
    assert len(run.state["head.out.bias"]) == 3
    with pytest.raises(SettingError, match=r"adapter_head must be false or null.*2 outputs for 3"):
        train(f"model.adapter={source.folder}", "model.adapter_head=true", *data)


@pytest.mark.parametrize(
    ("what", "overrides", "message"),
    [
        ("bert", ("model.adapter={}", "rank.max=5"), r"rank\.max must be 4, as in model\.adapter"),
        (
            "bert",
            ("model.adapter={}", "model.lora_alpha=8"),
            r"model\.lora_alpha must be 16, as in model\.adapter=.* but got 8",
        ),
        ("bert", ("model.adapter={}", "model.adapted=[query]"), r"the same 2 matrices.*over 8: "),
        (
            "bert",
            ("init=from_run", "init.run={}", "model.adapted=[query]"),
            r"init\.run must be a ",
        ),
        ("fixed", ("init=from_run", "init.run={}"), r"must be a run with logits.*init=fixed"),
        (
            "bert",
            ("init=from_run", "init.run={}", "init.freeze=true", "rank.max=2"),
            r"must have ranks of at most rank\.max=2, but got [34]",
        ),
        (
            "randomised",
            ("model.adapter={}",),
            r"model\.factors must be randomised with model\.factors_seed=42.*but got exact$",
        ),
        (
            "randomised",
            ("model.adapter={}", "model.factors=randomised", "model.factors_seed=1"),
            "model.factors_seed=42, as in model.adapter=.*, but got randomised-1$",
        ),
        ("bert", ("model.adapter={}", "model.factors=randomised"), "must be exact, as in"),
    ],
    ids=[
        "rank_max",
        "scale",
        "matrices",
        "matrices of logits",
        "no logits",
        "frozen rank_max",
        *("drawn factors", "seed", "exact"),
    ],
)
def test_what_does_not_fit_is_refused(
    what: str,
    overrides: tuple[str, ...],
    message: str,
    train: Train,
    trained_runs: dict[str, Path],
) -> None:
    with pytest.raises(SettingError, match=message):
        train(*(override.format(trained_runs[what]) for override in overrides))


def test_adapter_over_another_base_is_refused(
    train: Train, source: FinishedRun, tiny_base: Path, tmp_path: Path
) -> None:
    other = Path(shutil.copytree(tiny_base, tmp_path / "other"))
    config = (other / "config.json").read_text()
    (other / "config.json").write_text(config.replace("1e-12", "1e-11"))
    with pytest.raises(SettingError, match=r"model\.adapter must be a run over the same base"):
        train(f"model.adapter={source.folder}", f"model.path={other}")


@pytest.mark.parametrize("setting", ["model.adapter", "init.run"])
def test_unfinished_source_is_refused(setting: str, train: Train, tmp_path: Path) -> None:
    init = ["init=from_run"] if setting == "init.run" else []
    with pytest.raises(RecordError, match=rf"{setting}=.*gone: .*there is no such folder"):
        train(*init, f"{setting}={tmp_path / 'gone'}")


@pytest.mark.parametrize("setting", ["model.adapter", "init.run"])
def test_changed_source_is_noticed(
    setting: str, train: Train, trained_runs: dict[str, Path], tmp_path: Path
) -> None:
    copy = Path(shutil.copytree(trained_runs["bert"], tmp_path / "source"))
    overrides = [*(["init=from_run"] if setting == "init.run" else []), f"{setting}={copy}"]
    train(*overrides)
    shutil.rmtree(copy)
    shutil.copytree(trained_runs["other_seed"], copy)
    with pytest.raises(RecordError, match=rf"one {setting} .*, but got one whose content has ch"):
        train(*overrides)


def test_pack_mixes_runs_with_and_without_sources(
    tiny_run: list[str],
    composed: Callable[..., RunConfig],
    source: FinishedRun,
    tmp_path: Path,
) -> None:
    cells = [
        ["init=from_run", f"init.run={source.folder}", "init.freeze=true"],
        [f"model.adapter={source.folder}"],
        ["init=fixed"],
        ["init=from_run", f"init.run={source.folder}"],
    ]

    def records(sweep: str, pack_size: int) -> list[RunRecord]:
        configs = [composed(*tiny_run, CLS, f"paths.sweep={sweep}", *cell) for cell in cells]
        values = run_cells(configs, Options(pack_size=pack_size))
        assert not [value for value in values if isinstance(value, LoraSweepError)]
        names = [name for config in configs for name in runs_of(config)]
        return [read_result(tmp_path / "outputs" / sweep / name / "result.json") for name in names]

    together, alone = records("together", 4), records("alone", 1)
    for own, other in zip(together, alone, strict=True):
        assert own.fingerprint == other.fingerprint
        for one, two in zip(own.epochs, other.epochs, strict=True):
            assert one.integer_ranks == two.integer_ranks
            assert one.metrics == two.metrics
            assert one.train_loss == pytest.approx(two.train_loss, abs=1e-5)
