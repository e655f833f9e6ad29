"""Runs of every kind of adapter: trained, named, evaluated, exported, started from, matched."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from lora_sweep.adapters.kind import adapter_kinds
from lora_sweep.commands.evaluate import main as evaluate
from lora_sweep.config.run import RunConfig, run_settings
from lora_sweep.data.sources import LabelledTexts
from lora_sweep.errors import SettingError
from lora_sweep.execution.content import runs_of
from lora_sweep.execution.execute import Options, check_inputs, run_cell, run_cells
from lora_sweep.execution.matching import match_of
from lora_sweep.export.write import write_export
from lora_sweep.store.finished import FinishedRun, read_finished
from lora_sweep.trained.classifier import predict_texts
from lora_sweep.trained.open import open_adapter, open_classifier
from lora_sweep.vocabulary import EXPORT_KINDS

Composed = Callable[..., RunConfig]
OWN = {
    "lora": ["adapter=lora", "rank=fixed_4", "learning_rate.adapter=0.05", "model.lora_alpha=6"],
    "rslora": ["adapter=lora", "rank=fixed_4", "adapter.rslora=true"],
    "tiny_lora": ["adapter=tiny_lora", "adapter.u=5", "learning_rate.adapter=0.5"],
    "head_only": ["adapter=head_only"],
}
# Of a matrix 16 x 16 a rank of LoRA costs 32, of one 24 x 16 40: 2 layers of 3 and 1.
A_RANK = 2 * (3 * 32 + 40)
TEXTS = LabelledTexts(("cat sees a dog", "the old bird likes not a red cow"), None, (0, 0))
# PEFT asks transformers for a property by its old name.
pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")


@pytest.fixture
def of_kind(tiny_run: list[str], composed: Composed) -> Composed:
    """Overrides -> config of a tiny run, with the ranks that its kind of adapter has by itself."""
    own = [one for one in tiny_run if not one.startswith("rank.")]
    return lambda *overrides: composed(*own, "model.pooling=cls", *overrides)


def trained(config: RunConfig) -> FinishedRun:
    """The cell's one run, trained."""
    run_cell(config)
    (name,) = runs_of(config)
    return read_finished(Path(config.paths.outputs, config.paths.sweep, name))


def metrics_of(folder: Path, capsys: pytest.CaptureFixture[str]) -> dict[str, float]:
    """Metric -> value on the run's own data, as the command says."""
    capsys.readouterr()
    assert evaluate([str(folder), "--json"]) == 0
    return {score["metric"]: score["value"] for score in json.loads(capsys.readouterr().out)}


@pytest.mark.parametrize("what", OWN)
def test_run_is_evaluated_and_exported_as_it_was_trained(
    what: str, of_kind: Composed, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("peft")
    config = of_kind(*OWN[what], f"paths.cache={tmp_path / 'cache'}")
    run, cpu, cache = trained(config), torch.device("cpu"), tmp_path / "cache"
    expected = run.record.reported_evaluation.metrics
    assert metrics_of(run.folder, capsys) == pytest.approx(expected, abs=1e-12)
    adapter, base = open_adapter(run.folder), Path(str(config.model.path))
    classifier = open_classifier(run.folder, base=None, cache_dir=cache, device=cpu)
    ours = predict_texts(classifier, TEXTS).probabilities
    for kind in EXPORT_KINDS:
        if kind not in config.adapter_kind().exports:
            with pytest.raises(SettingError, match=rf"--to must be one of .* but got {kind}"):
                write_export(adapter, kind, tmp_path / kind, base=base, cache_dir=cache)
            continue
        write_export(adapter, kind, tmp_path / kind, base=base, cache_dir=cache)
        other = open_classifier(tmp_path / kind, base=None, cache_dir=cache, device=cpu)
        found = predict_texts(other, TEXTS).probabilities
        assert found == pytest.approx(ours, abs=1e-5)


@pytest.mark.parametrize(("what", "alpha"), [("lora", 6), ("rslora", 16)])
def test_lora_is_exported_as_pefts_own_file(
    what: str, alpha: int, of_kind: Composed, tmp_path: Path
) -> None:
    """A and B as they were trained, and PEFT's scale for them."""
    peft = pytest.importorskip("peft")
    from safetensors.torch import load_file

    config = of_kind(*OWN[what])
    run, folder = trained(config), tmp_path / "peft"
    base = Path(str(config.model.path))
    write_export(open_adapter(run.folder), "peft", folder, base=base, cache_dir=tmp_path)
    found = peft.LoraConfig.from_pretrained(str(folder))
    assert (found.r, found.lora_alpha, found.use_rslora) == (4, alpha, what == "rslora")
    assert found.rank_pattern == found.alpha_pattern == {}
    tensors = load_file(folder / "adapter_model.safetensors")
    for matrix in run.record.matrices:
        for part in ("A", "B"):
            name = f"base_model.model.bert.{matrix}.lora_{part}.weight"
            assert torch.equal(tensors[name], run.state[f"{part}/{matrix}"])


def test_names_and_settings_say_the_kind(of_kind: Composed) -> None:
    names = {what: next(iter(runs_of(of_kind(*own)))) for what, own in OWN.items()}
    assert {what: name.rpartition("-")[0] for what, name in names.items()} == {
        "lora": "lora-r4-seed0",
        "rslora": "lora-r4-seed0",
        "tiny_lora": "tiny_lora-r2-seed0",
        "head_only": "head_only-seed0",
    }
    assert names["lora"] != names["rslora"]
    settings = run_settings(of_kind(*OWN["tiny_lora"]), 0)
    own = {name: value for name, value in settings.items() if name.startswith("adapter.")}
    expected = {"adapter.kind": "tiny_lora", "adapter.u": 5, "adapter.projection_seed": 42}
    assert own == expected
    plain = run_settings(of_kind("adapter=lora_xs"), 0)
    assert not [name for name in plain if name.startswith("adapter.")]


@pytest.mark.parametrize(
    ("what", "changes"),
    [
        ("lora", ["model.factors=orthogonal", "model.factors_seed=3", "lr=0.3"]),
        ("tiny_lora", ["model.lora_alpha=3", "lr=0.3"]),
        (
            "head_only",
            [
                *("rank=fixed_4", "init=randn", "model.lora_alpha=3", "model.factors=random"),
                *("model.adapted=[query]", "learning_rate.adapter=0.3", "lr=0.3"),
            ],
        ),
    ],
)
def test_what_has_no_effect_makes_no_other_run(
    what: str, changes: list[str], of_kind: Composed
) -> None:
    expected = list(runs_of(of_kind(*OWN[what])))
    for change in changes:
        assert list(runs_of(of_kind(*OWN[what], change))) == expected


def test_kinds_train_in_packs_of_their_own(of_kind: Composed) -> None:
    configs = [of_kind(*OWN[what]) for what in OWN] + [of_kind("rank=fixed_4")]
    found = run_cells(configs, Options())
    assert all(isinstance(metric, float) for metric in found)
    again = run_cells(configs, Options())
    assert again == found


def test_run_starts_from_one_of_its_kind(of_kind: Composed) -> None:
    run = trained(of_kind(*OWN["lora"]))
    start = f"model.adapter={run.folder}"
    still = ["learning_rate.adapter=0", "learning_rate.head=0", "training.weight_decay=0"]
    again = trained(of_kind(*OWN["lora"], start, *still))
    assert all(torch.equal(again.state[name], values) for name, values in run.state.items())
    with pytest.raises(
        SettingError, match=r"adapter must be as in model\.adapter=.*, LoRA\(.*got"
    ):
        check_inputs(of_kind("rank=fixed_4", "model.lora_alpha=6", start))


@pytest.mark.parametrize(
    ("overrides", "rank", "n_params"),
    [
        (["adapter=lora", f"adapter.match={3 * A_RANK + 5}"], 3, 3 * A_RANK),
        (["adapter=lora", "adapter.match=lora_xs", "rank=fixed_12"], 4, 4 * A_RANK),  # of 1152
        (["adapter=lora", f"adapter.match={16 + A_RANK}", "init=randn", "rank=r5_25"], 1, A_RANK),
        (["adapter.match=130"], 4, 8 * 4**2),  # of LoRA-XS itself
    ],
)
def test_match_picks_the_rank(
    overrides: list[str], rank: int, n_params: int, of_kind: Composed
) -> None:
    match = match_of(of_kind(*overrides))
    assert match is not None
    assert (match.config.rank.max, match.n_params) == (rank, n_params)
    assert f"{match.allowed - n_params:,} fewer than allowed" in match.words
    plain = [one for one in overrides if not one.startswith(("adapter.match", "rank=", "init="))]
    same = of_kind(*plain, f"rank.min={rank}", f"rank.max={rank}", f"rank.average={rank}")
    assert runs_of(of_kind(*overrides)) == runs_of(same)


def test_log_of_a_run_says_what_its_match_leaves(
    of_kind: Composed, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    run = trained(of_kind("adapter=lora", f"adapter.match={A_RANK + 7}"))
    assert run.record.n_trained_without_head == A_RANK
    said = f"LoRA with rank 1 trains {A_RANK} parameters without the head, 7 fewer than allowed"
    assert f"adapter.match={A_RANK + 7}: {said}" in (run.folder / "run.log").read_text()


def test_match_of_tiny_lora_picks_u(of_kind: Composed) -> None:
    matched = runs_of(of_kind("adapter=tiny_lora", "adapter.match=47"))
    assert matched == runs_of(of_kind("adapter=tiny_lora", "adapter.u=5"))


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["adapter=lora", "adapter.match=200"], f"must be at least {A_RANK}, .*8 matrices.* 200"),
        (["adapter=head_only", "adapter.match=200"], "must be null with adapter=head_only"),
    ],
)
def test_match_that_nothing_fits_is_refused(
    overrides: list[str], message: str, of_kind: Composed
) -> None:
    with pytest.raises(SettingError, match=rf"adapter\.match {message}"):
        check_inputs(of_kind(*overrides))


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["adapter.match=much"], r"adapter\.match must be null, lora_xs or a number"),
        (["adapter.u=3"], r"adapter\.u must be null with adapter=lora_xs, .* but got 3"),
        (["adapter=tiny_lora", "adapter.u=0"], r"adapter\.u must be .*, but got 0"),
        (
            ["adapter=tiny_lora", "init=randn", "rank=r5_25"],
            r"init must be fixed, .* with adapter=tiny_lora, but got randn over the ranks 5 ",
        ),
    ],
)
def test_wrong_settings_are_refused(overrides: list[str], message: str, of_kind: Composed) -> None:
    with pytest.raises(SettingError, match=message):
        of_kind(*overrides)


def test_every_kind_has_an_option() -> None:
    options = {file.stem for file in (Path(__file__).parents[1] / "conf" / "adapter").iterdir()}
    assert options == set(adapter_kinds())
