"""Real sweeps through the real command line, with a tiny random base: files and numbers."""

import csv
import dataclasses
import json
import statistics
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from sweeps import PICTURES, Command

from lora_sweep.store.record import read_result
from lora_sweep.store.state import settings_json

pytestmark = pytest.mark.slow

FINISHED_FILES = {
    *("settings.json", "config.yaml", "result.json", "history.jsonl", "run.log"),
    *("state.safetensors", "predictions.safetensors"),
}
AXES = ("learning_rate.head=0.001,1e30", "seed=0,1")


@dataclass
class Outcome:
    """What a command left."""

    code: int
    output: str
    sweep_dir: Path

    @property
    def runs(self) -> list[Path]:
        return sorted(path.parent for path in self.sweep_dir.rglob("settings.json"))

    @property
    def finished(self) -> list[Path]:
        return [run for run in self.runs if (run / "result.json").exists()]

    @property
    def failed(self) -> list[Path]:
        return [run for run in self.runs if (run / "failure.json").exists()]


def read(path: Path) -> Any:
    return json.loads(path.read_text())


def numbers(run: Path) -> dict[str, Any]:
    """All of a record that does not say when, where or with what it was made."""
    record = dataclasses.asdict(read_result(run / "result.json"))  # checks the checksum, too
    return {k: v for k, v in record.items() if k not in ("wall_seconds", "git_commit", "versions")}


def call(folder: Path, *arguments: str, anew: bool = False) -> Outcome:
    """Runs the command in the folder; outputs go to `outputs/tiny` there."""
    command = Command(folder, *arguments)
    code, output = command.run(anew=anew)
    return Outcome(code, output, command.sweep_dir)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> str:
    return f"paths.cache={tmp_path_factory.getbasetemp() / 'cache'}"


@pytest.fixture(scope="module")
def sweep_command(
    tmp_path_factory: pytest.TempPathFactory, tiny_settings: list[str], cache: str
) -> Callable[..., Outcome]:
    """More arguments -> the sweep of 2 cells x 2 seeds, always in the same folder."""
    folder = tmp_path_factory.mktemp("sweep")
    return lambda *more, **how: call(folder, "-m", *tiny_settings, cache, *AXES, *more, **how)


@pytest.fixture(scope="module")
def swept(sweep_command: Callable[..., Outcome]) -> Outcome:
    """The first such sweep: as a user starts it, and with all that a report holds."""
    return sweep_command(*PICTURES, anew=True)


@pytest.fixture
def command(tmp_path: Path, tiny_settings: list[str], cache: str) -> Callable[..., Outcome]:
    """Arguments of one tiny run -> what it left."""
    return lambda *more: call(tmp_path, *tiny_settings, cache, *more)


def test_sweep_trains_what_does_not_fail(swept: Outcome) -> None:
    assert swept.code == 1, swept.output
    assert "error: 2 of 4 jobs failed, the others are trained" in swept.output
    assert "Traceback" not in swept.output
    assert {read(run / "settings.json")["settings"]["seed"] for run in swept.finished} == {0, 1}
    assert {
        read(run / "settings.json")["settings"]["learning_rate.head"] for run in swept.failed
    } == {1e30}
    assert len(swept.runs) == 4
    assert set(read(swept.sweep_dir / "sweep.json")["runs"]) == {run.name for run in swept.runs}


def test_sweep_leaves_every_file(swept: Outcome) -> None:
    assert len(swept.finished) == len(swept.failed) == 2
    for run in swept.finished:
        assert {file.name for file in run.iterdir()} >= FINISHED_FILES
        assert not (run / "failure.json").exists()
        assert "epoch 2: loss" in (run / "run.log").read_text()
    for run in swept.failed:
        assert not (run / "result.json").exists()
        assert "loss became nan at step" in read(run / "failure.json")["error"]
        assert "loss became nan at step" in (run / "run.log").read_text()
    assert all((run / ".hydra" / "config.yaml").exists() for run in swept.runs)
    assert not list(swept.sweep_dir.rglob(".writing-*"))
    assert {"report.md", "report.html", "runs.csv"} <= {
        file.name for file in swept.sweep_dir.iterdir()
    }
    assert list(swept.sweep_dir.glob("figures/*"))


def test_records_hold_what_was_trained(swept: Outcome) -> None:
    for run in swept.finished:
        record = read(run / "result.json")
        accuracies = [epoch["metrics"]["accuracy"] for epoch in record["epochs"]]
        assert [epoch["step"] for epoch in record["epochs"]] == [3, 6]  # 48 texts, 16 a batch
        assert record["best_metric"] == max(accuracies)
        assert record["final_metric"] == accuracies[-1]
        assert len(record["matrices"]) == 2 * 4
        assert record["settings"] == read(run / "settings.json")["settings"]
        assert record["n_trained_params"]["adapter"] == 8 * 4**2
        for epoch in record["epochs"]:
            assert all(1 <= rank <= 4 for rank in epoch["integer_ranks"])
            assert epoch["budget_spent_params"] <= epoch["budget_params"] == 8 * 2**2


def test_rerun_skips_finished_and_retries_failed(
    swept: Outcome, sweep_command: Callable[..., Outcome]
) -> None:
    before = {run: (run / "result.json").stat().st_mtime_ns for run in swept.finished}
    failures = {run: (run / "failure.json").stat().st_mtime_ns for run in swept.failed}
    again = sweep_command()
    assert again.code == 1
    assert again.output.count("is finished: skipped") == 2
    assert {run: (run / "result.json").stat().st_mtime_ns for run in again.finished} == before
    assert all((run / "failure.json").stat().st_mtime_ns > at for run, at in failures.items())


def test_table_holds_median_and_sample_std(swept: Outcome) -> None:
    with (swept.sweep_dir / "results.csv").open(encoding="utf-8") as stream:
        trained, failed = sorted(
            csv.DictReader(stream), key=lambda row: float(row["learning_rate.head"])
        )
    best = [read(run / "result.json")["best_metric"] for run in swept.finished]
    assert float(trained["median"]) == pytest.approx(statistics.median(best), rel=1e-12)
    assert float(trained["std"]) == pytest.approx(statistics.stdev(best), rel=1e-12)
    assert (trained["n_seeds"], trained["n_expected"]) == ("2", "2")
    assert (failed["median"], failed["std"]) == ("", "")
    assert (failed["n_seeds"], failed["n_failed"]) == ("0", "2")
    assert "Callback WriteReport" not in swept.output  # where Hydra warns of a broken report


def test_overwrite_gives_the_same_numbers(command: Callable[..., Outcome]) -> None:
    first = command()
    assert first.code == 0, first.output
    (run,) = first.finished
    before, at = numbers(run), (run / "result.json").stat().st_mtime_ns
    state = load_file(run / "state.safetensors")
    again = command("finished=overwrite")
    assert again.finished == [run]
    assert (run / "result.json").stat().st_mtime_ns > at
    assert numbers(run) == before
    again_state = load_file(run / "state.safetensors")
    assert again_state.keys() == state.keys()
    assert all(torch.equal(again_state[name], values) for name, values in state.items())


def test_seeds_of_a_cell_are_runs_of_their_own(command: Callable[..., Outcome]) -> None:
    both = command("n_seeds=2", "data.selection_fraction=0.25")
    assert both.code == 0, both.output
    assert len(both.finished) == 2
    for run in both.finished:
        record = read(run / "result.json")
        chosen = [epoch["metrics"]["accuracy/selection"] for epoch in record["epochs"]]
        epoch = record["selected_epoch"]
        assert chosen[epoch - 1] == max(chosen)
        assert record["selected_metric"] == record["epochs"][epoch - 1]["metrics"]["accuracy"]
    alone = command("seed=1", "data.selection_fraction=0.25")
    assert "is finished: skipped" in alone.output
    assert len(alone.runs) == 2


def test_cola_folder_gives_metrics_by_part(
    tiny_corpus: Path, tmp_path: Path, tiny_settings: list[str], cache: str
) -> None:
    rows = [line.split("\t") for line in (tiny_corpus / "train.tsv").read_text().splitlines()[1:]]
    parts = {"in_domain_train": rows[:32], "in_domain_dev": rows[32:40]}
    for name, part in (parts | {"out_of_domain_dev": rows[40:]}).items():
        lines = [f"x\t{label}\t\t{text}" for text, label in part]
        (tmp_path / f"{name}.tsv").write_text("\n".join(lines) + "\n")
    settings = [setting for setting in tiny_settings if not setting.startswith("data")]
    outcome = call(tmp_path, *settings, cache, "data=cola", f"data.path={tmp_path}")
    assert outcome.code == 0, outcome.output
    (run,) = outcome.finished
    metrics = ("matthews_correlation", "accuracy", "macro_f1")
    names = {one + part for one in metrics for part in ("", "/in_domain", "/out_of_domain")}
    assert names == set(read(run / "result.json")["epochs"][0]["metrics"])


def test_options_of_the_method_all_train(
    tmp_path: Path, tiny_settings: list[str], cache: str
) -> None:
    outcome = call(
        tmp_path,
        *("-m", *tiny_settings, cache, "allocation=published,capped"),
        *("budget=grow,shrink", "precision=float32,bfloat16", "budget.hold_epochs=0"),
        *("budget.move_epochs=1", "init=randn"),
    )
    assert outcome.code == 0, outcome.output
    assert len(outcome.finished) == 8
    for run in outcome.finished:
        record = read(run / "result.json")
        budgets = [epoch["budget_params"] for epoch in record["epochs"]]
        assert budgets == pytest.approx([8 * 2**2] * 2)
        if record["settings"]["allocation.mode"] == "capped":
            assert all(epoch["budget_over_cap_params"] == 0 for epoch in record["epochs"])
    latents = {load_file(run / "state.safetensors")["R"].numpy().tobytes() for run in outcome.runs}
    # capped and published may agree while nothing is over the cap; budget and precision never do
    by_option: dict[tuple[str, str], set[bytes]] = {}
    for run in outcome.finished:
        settings = read(run / "result.json")["settings"]
        option = (str(settings["budget.start_average"]), settings["precision"])
        latent = load_file(run / "state.safetensors")["R"].numpy().tobytes()
        by_option.setdefault(option, set()).add(latent)
    assert len(by_option) == 4
    assert sum(map(len, by_option.values())) == len(latents)


@pytest.mark.parametrize(
    "axes",
    [
        ("init=randn,quadratic", "rank.max=4,6"),
        ("init=uniform,fixed", "n_seeds=2", "hydra/sweeper=basic"),
    ],
    ids=["grid", "hydras-sweeper-and-cells-of-two-seeds"],
)
def test_packs_leave_what_single_runs_leave(
    axes: tuple[str, ...], tmp_path: Path, tiny_settings: list[str], cache: str
) -> None:
    settings = [*tiny_settings, cache, *axes]
    packed = call(tmp_path / "pack", "-m", *settings, "hydra.launcher.pack_size=3")
    single = call(tmp_path / "basic", "-m", *settings, "hydra/launcher=basic")
    assert (packed.code, single.code) == (0, 0), packed.output + single.output
    assert "runs train in" in packed.output
    assert len(packed.runs) == 2 * 2
    assert [run.name for run in packed.runs] == [run.name for run in single.runs]
    for sweep in (packed, single):
        assert set(read(sweep.sweep_dir / "sweep.json")["runs"]) == {
            run.name for run in sweep.runs
        }
    for ours, expected in zip(packed.runs, single.runs, strict=True):
        files = [{file.name for file in run.iterdir()} for run in (ours, expected)]
        assert files[0] == files[1] >= FINISHED_FILES
        mine, other = numbers(ours), numbers(expected)
        assert mine.pop("epochs")[-1]["integer_ranks"] == other.pop("epochs")[-1]["integer_ranks"]
        assert mine == other
        states = [load_file(run / "state.safetensors") for run in (ours, expected)]
        for name, values in states[1].items():
            torch.testing.assert_close(states[0][name], values, rtol=0, atol=1e-4)
        log = (ours / "run.log").read_text()
        assert log.count(": epoch 1:") == 1  # no other run's lines
        assert (ours / "config.yaml").read_text() == (
            (expected / "config.yaml").read_text().replace("basic", "pack")
        )
    reports = [sweep.sweep_dir / "report.md" for sweep in (packed, single)]
    tables = [path.read_text().partition("Started with")[0] for path in reports]
    assert tables[0] == tables[1]


def test_optuna_trials_train_in_packs(
    tmp_path: Path, tiny_settings: list[str], cache: str
) -> None:
    search = ("hydra/sweeper=optuna", "hydra.sweeper.n_jobs=3", "hydra.sweeper.n_trials=5")
    other = tmp_path / "outputs" / "tiny" / "other"
    other.mkdir(parents=True)
    (other / "settings.json").write_text(settings_json(other, {"seed": 7}))
    outcome = call(tmp_path, "-m", *tiny_settings, cache, *search, "lr=interval(0.001,0.01)")
    assert outcome.code == 0, outcome.output
    assert "5 runs in 5 cells: 5 finished" in outcome.output
    assert "1 other run lies there too" in outcome.output
    assert outcome.output.count("3 runs train in 1 pack") == 1
    assert outcome.output.count("2 runs train in 1 pack") == 1
    assert len(outcome.finished) == 5
    best = (outcome.sweep_dir / "optimization_results.yaml").read_text()
    reported = [read(run / "result.json")["best_metric"] for run in outcome.finished]
    assert f"best_value: {min(reported)}" in best  # Optuna's default direction
