"""What an addition costs: each test makes one, the way the package's own stand, and uses it."""

import json
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch
from hydra import compose, initialize_config_dir
from omegaconf import MISSING

from lora_sweep.adapters.kind import Shapes, adapter_kinds
from lora_sweep.adapters.kinds.lora_xs import LoRAXS
from lora_sweep.adapters.layer import AdaptedLinear
from lora_sweep.allocation.apportioning import ranks_by_share
from lora_sweep.allocation.calibration import CALIBRATIONS, Calibration
from lora_sweep.allocation.calibration_inputs import CalibrationInputs
from lora_sweep.allocation.init_schedules import INIT_SCHEDULES, InitInputs
from lora_sweep.commands.evaluate import main as evaluate
from lora_sweep.config import store
from lora_sweep.config.data import DATA_SOURCES, DataConfig, data_source, recorded_data
from lora_sweep.config.run import RunConfig, to_run_config
from lora_sweep.data.corpus import Corpus, LabelledTexts
from lora_sweep.data.tasks import Task
from lora_sweep.errors import BaseModelError
from lora_sweep.execution.content import runs_of
from lora_sweep.execution.execute import run_cell
from lora_sweep.execution.inputs import can_pack
from lora_sweep.export.write import write_export
from lora_sweep.metrics import CLASSES, METRICS, Array, Metric, stacked_metric
from lora_sweep.models.families import FAMILIES, Family, StockHead
from lora_sweep.store.finished import FinishedRun, read_finished
from lora_sweep.store.record import read_result
from lora_sweep.trained.open import open_adapter
from lora_sweep.training.parameters import Parameters

from .conftest import make_base, sentences


def trained(config: RunConfig) -> FinishedRun:
    """The cell's one run, trained."""
    run_cell(config)
    (name,) = runs_of(config)
    return read_finished(Path(config.paths.outputs, config.paths.sweep, name))


def evaluated(folder: Path, capsys: pytest.CaptureFixture[str]) -> dict[str, float]:
    """Metric -> value on the run's own data, as the command says."""
    assert evaluate([str(folder), "--json"]) == 0
    return {score["metric"]: score["value"] for score in json.loads(capsys.readouterr().out)}


# A data source: this class, and the YAML below.
@dataclass(unsafe_hash=True)
class FewSentencesConfig(DataConfig):
    """So many of the tests' sentences."""

    n: int = MISSING

    def load(self) -> Corpus:
        task = Task("few", "line", None, "verdict", 2, ("other", "sees"), ("accuracy",))
        train, dev = (
            LabelledTexts(tuple(text for text, _ in rows), None, tuple(label for _, label in rows))
            for rows in (sentences(self.n), sentences(self.n, start=self.n))
        )
        return Corpus(task, train, {"dev": dev}, None, ("dev",))


FEW = """\
defaults:
  - /hydra/schema/data_few@_here_
  - _self_

name: few
task: few
max_length: 16
selection_fraction: 0.25
n: 24
"""


@pytest.fixture
def few_sentences(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Adds the source and its option; the override that makes Hydra look for the option."""
    monkeypatch.setitem(DATA_SOURCES, "few", DataConfig)  # so that it is gone after the test
    data_source("few")(FewSentencesConfig)
    store.register()
    option = tmp_path / "conf" / "data" / "few.yaml"
    option.parent.mkdir(parents=True)
    option.write_text(FEW)
    return f"hydra.searchpath=[file://{tmp_path / 'conf'}]"


def test_data_source_costs_a_class_and_an_option(
    few_sentences: str, tiny_run: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    others = [name for name in tiny_run if not name.startswith("data")]
    with initialize_config_dir(store.CONF):
        composed = compose("config", [few_sentences, *others, "data=few", "data.n=32"])
    config = to_run_config(composed)
    assert config.data == FewSentencesConfig("few", "few", 16, 0.25, 32)
    run = trained(config)
    assert recorded_data(run.record.settings) == config.data
    assert open_adapter(run.folder).about.columns == ("line", None, "verdict")
    accuracy = run.record.reported_evaluation.metrics["accuracy"]
    assert evaluated(run.folder, capsys) == {"accuracy": pytest.approx(accuracy)}


def test_model_family_costs_a_row(
    tiny_run: list[str],
    tmp_path: Path,
    composed: Callable[..., RunConfig],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    base = make_base(tmp_path / "base", "data2vec-text")
    config = composed(*tiny_run, f"model.path={base}", "model.pooling=cls", "init=fixed")
    with pytest.raises(BaseModelError, match=r"must be one of bert, .* but got data2vec-text"):
        can_pack(config)
    head = StockHead("data2vec_text", "classifier.dense", "classifier.out_proj", ("classifier",))
    row = Family(starts_behind_padding=True, attention_dropout="self.dropout", head=head)
    monkeypatch.setitem(FAMILIES, "data2vec-text", row)
    assert can_pack(config)  # its batches are ragged
    run, out = trained(config), tmp_path / "merged"
    write_export(open_adapter(run.folder), "merged", out, base=base, cache_dir=tmp_path)
    expected = run.record.reported_evaluation.metrics
    assert evaluated(out, capsys) == pytest.approx(expected, abs=1e-12)


def _worst_recall(predictions: Array, labels: Array) -> float:
    return float(min((predictions[labels == label] == label).mean() for label in set(labels)))


def test_metric_costs_a_row(
    tiny_run: list[str],
    composed: Callable[..., RunConfig],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setitem(METRICS, "worst_recall", Metric(CLASSES, _worst_recall))
    run = trained(composed(*tiny_run, "data.metric=worst_recall", "init=fixed"))
    assert run.record.metric == "worst_recall"
    value = run.record.reported_evaluation.metrics["worst_recall"]
    assert evaluated(run.folder, capsys)["worst_recall"] == pytest.approx(value)


def test_metric_of_one_function_is_computed_over_stacks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(METRICS, "worst_recall", Metric(CLASSES, _worst_recall))
    stacked = torch.tensor([[[0, 1, 1, 0], [1, 1, 1, 0]], [[0, 0, 1, 1], [1, 1, 0, 0]]]).numpy()
    found = stacked_metric("worst_recall", stacked, torch.tensor([0, 0, 1, 1]).numpy())
    assert found.tolist() == [[0.5, 0.0], [1.0, 0.0]]


# An init schedule: this function, its entry, and the YAML below.
def _last_only(inputs: InitInputs) -> torch.Tensor:
    logits = torch.zeros(inputs.n_matrices, dtype=torch.float64)
    logits[-1] = 3.0
    return logits


def test_init_schedule_costs_a_function_and_an_option(
    tiny_run: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(INIT_SCHEDULES, "last_only", _last_only)
    place = _option(tmp_path, "init", "last_only", "name: last_only\n")
    with initialize_config_dir(store.CONF):
        composed = compose("config", [place, *tiny_run, "init=last_only"])
    run = trained(to_run_config(composed))
    ranks = run.record.epochs[0].ranks
    assert run.folder.name.startswith("last_only-")
    assert ranks[-1] == max(ranks) > 1.5 * min(ranks)


# A kind of adapter: this class in a file of its own, and the YAML below.
@dataclass(frozen=True)
class Tied(LoRAXS, name="tied", label="Tied LoRA-XS"):
    """One R for all matrices."""

    learns_ranks: ClassVar[bool] = False

    def parameter_shapes(self, rank: int, shapes: Shapes) -> dict[str, tuple[int, ...]]:
        return {"R": (1, rank, rank)}

    def start(self, rank: int, shapes: Shapes, generator: torch.Generator) -> Parameters:
        return super().start(rank, {"all": (rank, rank)}, generator)

    def updater(self, layers: Mapping[str, AdaptedLinear], rank: int) -> Any:
        own = super().updater(layers, rank)
        n = len(layers)
        return lambda parameters, masks, scale: own(
            {"R": parameters["R"].expand(-1, n, -1, -1)}, masks, scale
        )

    def trained(
        self, parameters: Mapping[str, torch.Tensor], ranks: Mapping[str, int], rank: int
    ) -> Parameters:
        return super().trained({"R": parameters["R"].expand(len(ranks), -1, -1)}, ranks, rank)


def test_kind_of_adapter_costs_a_class_and_an_option(
    tiny_run: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    kinds = {**adapter_kinds(), "tied": Tied}
    monkeypatch.setattr("lora_sweep.adapters.kind.adapter_kinds", lambda: kinds)
    place = _option(tmp_path, "adapter", "tied", "kind: tied\n")
    with initialize_config_dir(store.CONF):
        composed = compose("config", [place, *tiny_run, "init=fixed", "adapter=tied"])
    run = trained(to_run_config(composed))
    assert run.folder.name.startswith("tied-r2-seed0-")
    assert run.record.n_trained_params["adapter"] == 4**2  # stored at rank.max
    assert run.state["R"].abs().max() > 1e-3  # it starts at 1e-5
    expected = run.record.reported_evaluation.metrics
    assert evaluated(run.folder, capsys) == pytest.approx(expected, abs=1e-12)


# A calibration: this function, its entry with a way to split, and the YAML below.
def _first_most(inputs: CalibrationInputs) -> torch.Tensor:
    scores = torch.ones(len(inputs.weights), 1, dtype=torch.float64)
    scores[0] = 3.0
    return scores


def test_calibration_costs_a_function_and_an_option(
    tiny_run: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(CALIBRATIONS, "first_most", Calibration(_first_most, ranks_by_share))
    place = _option(tmp_path, "init", "first_most", "name: first_most\nbatches: 1\n")
    chosen = ["init=first_most", "init.freeze=true", "rank.max=8", "rank.average=4"]
    with initialize_config_dir(store.CONF):
        composed = compose("config", [place, *tiny_run, *chosen])
    run = trained(to_run_config(composed))
    assert run.folder.name.startswith("first_most-frozen-")
    # 37 entries for the first and 13 for each other; no ranks with 36 are near and spend all 128
    assert run.integer_ranks[0] == 7 > max(run.integer_ranks[1:])
    assert sum(rank**2 for rank in run.integer_ranks) == 8 * 4**2


# An allocation mode: this class in a file of its own, and the YAML below.
SHARP = '''
from dataclasses import dataclass

from lora_sweep.allocation.modes.capped import Capped
from lora_sweep.rules import require


@dataclass(frozen=True, kw_only=True)
class Sharp(Capped, name="sharp"):
    """Capped ranks of logits times a factor of its own."""

    factor: float

    def __post_init__(self):
        super().__post_init__()
        require(self.factor > 0, "factor", "above 0", self.factor)

    def ranks(self, logits, terms):
        from lora_sweep.allocation.ranks import capped_ranks

        return capped_ranks(
            self.factor * logits, terms.budget_params, terms.rank_min, terms.rank_max
        )
'''
SWEPT = """
import sys

import lora_sweep.allocation.modes as modes

modes.__path__.append(sys.argv.pop(1))  # as if the file lay beside the others
from lora_sweep.cli import main

main()
"""


def _option(folder: Path, group: str, name: str, content: str) -> str:
    """Writes an option of a group; the override that makes Hydra look for it."""
    option = folder / "conf" / group / f"{name}.yaml"
    option.parent.mkdir(parents=True, exist_ok=True)
    option.write_text(f"defaults:\n  - /hydra/schema/{group}@_here_\n  - _self_\n\n{content}")
    return f"hydra.searchpath=[file://{folder / 'conf'}]"


def test_allocation_mode_costs_a_file_and_an_option(tiny_run: list[str], tmp_path: Path) -> None:
    modes = tmp_path / "modes"
    modes.mkdir()
    (modes / "sharp.py").write_text(SHARP)
    place = _option(tmp_path, "allocation", "sharp", "mode: sharp\ntau: 0\nfactor: 2.0\n")
    sweep = ["--multirun", place, *tiny_run, "init=randn", "allocation=sharp"]
    quiet = ["hydra.callbacks.report.figures=false", "hydra.callbacks.report.page=false"]
    command = [sys.executable, "-c", SWEPT, str(modes), *sweep, *quiet]
    done = subprocess.run(
        [*command, "allocation.factor=1.0,4.0"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    runs = sorted((tmp_path / "outputs" / "tiny").glob("*/result.json"))
    assert [path.parent.name.split("-")[:2] for path in runs] == [["randn", "sharp"]] * 2
    records = {read_result(path).settings["allocation.factor"]: read_result(path) for path in runs}
    least = {factor: min(record.epochs[0].ranks) for factor, record in records.items()}
    assert least[4.0] < least[1.0]
    refused = subprocess.run(
        [*command, "allocation.factor=0"], capture_output=True, text=True, check=False
    )
    assert "allocation.factor must be above 0, but got 0.0" in refused.stderr
