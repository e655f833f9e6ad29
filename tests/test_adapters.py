"""Runs of every kind of adapter: trained, named, evaluated, exported, started from, matched."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from lora_sweep.adapters.kind import adapter_kinds
from lora_sweep.commands.evaluate import main as evaluate
from lora_sweep.config.run import RunConfig, run_settings
from lora_sweep.data.corpus import LabelledTexts
from lora_sweep.errors import SettingError
from lora_sweep.execution.content import runs_of
from lora_sweep.execution.execute import Options, check_inputs, run_cell, run_cells
from lora_sweep.execution.matching import match_of
from lora_sweep.export.write import write_export
from lora_sweep.store.finished import FinishedRun, read_finished
from lora_sweep.trained.classifier import predict_texts
from lora_sweep.trained.open import open_adapter, open_classifier
from lora_sweep.vocabulary import CLASSIFIER_KINDS, RANK_PATTERN

Composed = Callable[..., RunConfig]
RANGE = ("rank.min=1", "rank.max=4", "rank.average=2")
OWN = {
    "lora": ["adapter=lora", "rank=fixed_4", "learning_rate.adapter=0.05", "model.lora_alpha=6"],
    "rslora": ["adapter=lora", "rank=fixed_4", "adapter.rslora=true"],
    "tiny_lora": ["adapter=tiny_lora", "adapter.u=5", "learning_rate.adapter=0.5"],
    "head_only": ["adapter=head_only"],
    "learnt": ["adapter=lora", "init=randn", *RANGE, "learning_rate.adapter=0.05"],
    "learnt_rslora": [
        *("adapter=lora", "adapter.rslora=true", "init=uniform", "allocation=soft_topk", *RANGE),
        *("lr=1", "learning_rate.adapter=0.05"),
    ],
    "cut": ["adapter=lora", "init=uniform", "allocation=importance", "allocation.every=1", *RANGE],
    "fisher": ["adapter=lora", "init=fisher", "init.freeze=true", "init.batches=2", *RANGE],
}
LEARNT = ["learnt", "learnt_rslora", "cut", "fisher"]
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
    for kind in CLASSIFIER_KINDS:
        if kind not in config.adapter_kind().exports:
            with pytest.raises(SettingError, match=rf"--to must be one of .* but got {kind}"):
                write_export(adapter, kind, tmp_path / kind, base=base, cache_dir=cache)
            continue
        write_export(adapter, kind, tmp_path / kind, base=base, cache_dir=cache)
        other = open_classifier(tmp_path / kind, base=None, cache_dir=cache, device=cpu)
        found = predict_texts(other, TEXTS).probabilities
        assert found == pytest.approx(ours, abs=1e-5)


@pytest.mark.parametrize("what", ["learnt", "tiny_lora", "head_only"])
def test_ranks_are_exported_where_they_can_be_learnt(
    what: str, of_kind: Composed, tmp_path: Path
) -> None:
    run = trained(of_kind(*OWN[what]))
    base = Path(run.record.settings["model.path"])
    adapter, folder = open_adapter(run.folder), tmp_path / "ranks"
    if what != "learnt":
        with pytest.raises(SettingError, match=r"--to must be one of .* but got rank_pattern"):
            write_export(adapter, RANK_PATTERN, folder, base=base, cache_dir=tmp_path)
        return
    write_export(adapter, RANK_PATTERN, folder, base=base, cache_dir=tmp_path)
    ranks = json.loads((folder / "rank_pattern.json").read_text())
    assert ranks == dict(zip(run.record.matrices, run.integer_ranks, strict=True))
    assert "were learnt with LoRA, for one task" in (folder / "README.md").read_text()


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
        "learnt": "lora-randn-r1_4_2-lr0.01-seed0",
        "learnt_rslora": "lora-uniform-soft_topk-r1_4_2-lr1-seed0",
        "cut": "lora-importance-r1_4_2-seed0",
        "fisher": "lora-fisher-frozen-r1_4_2-seed0",
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
        (["adapter=lora", f"adapter.match={16 + A_RANK}", "rank=r5_25"], 1, A_RANK),
        (["adapter.match=130", "init=fixed"], 4, 8 * 4**2),  # of LoRA-XS itself
    ],
)
def test_match_picks_the_rank(
    overrides: list[str], rank: int, n_params: int, of_kind: Composed
) -> None:
    match = match_of(of_kind(*overrides))
    assert match is not None
    assert (match.config.rank.max, match.n_params) == (rank, n_params)
    assert f"{match.allowed - n_params:,} fewer than allowed" in match.words
    plain = [one for one in overrides if not one.startswith(("adapter.match", "rank="))]
    same = of_kind(*plain, f"rank.min={rank}", f"rank.max={rank}", f"rank.average={rank}")
    assert runs_of(of_kind(*overrides)) == runs_of(same)


@pytest.mark.parametrize(
    ("overrides", "allowed", "average"),
    [
        (["adapter=lora", "init=randn", f"adapter.match={3 * A_RANK}"], 3 * A_RANK, 3),
        (["adapter=lora", "init=randn", "adapter.match=600"], 600, 600 / A_RANK),
        (["adapter=lora", "init=gora", "adapter.match=600"], 600, 600 / A_RANK),
        (
            ["adapter=lora", "init=uniform", "allocation=importance", "adapter.match=600"],
            *(600, 600 / A_RANK),
        ),
        (
            ["adapter=lora", "init=uniform", "allocation=random_square", "adapter.match=600"],
            *(600, 2),
        ),
        (["init=randn", "adapter.match=72"], 72, 3),  # of LoRA-XS: 8 matrices, 9 entries each
        (["init=randn", "adapter.match=lora_xs"], 32, 2),  # what it has anyway
    ],
)
def test_match_picks_the_average_of_learnt_ranks(
    overrides: list[str], allowed: int, average: float, of_kind: Composed
) -> None:
    match = match_of(of_kind(*overrides, *RANGE))
    assert match is not None
    rank, budget = match.config.rank, match.config.budget
    assert (rank.min, rank.max, rank.average) == (1, 4, pytest.approx(average))
    assert budget.start_average == budget.end_average == rank.average
    assert match.allowed == allowed
    unspent = allowed - 2 * A_RANK if "random_square" in str(overrides) else 0
    assert match.n_params == allowed - unspent
    assert f"{unspent:,} fewer than allowed" in match.words
    plain = [one for one in overrides if not one.startswith("adapter.match")]
    same = of_kind(*plain, "rank.min=1", "rank.max=4", f"rank.average={rank.average!r}")
    assert runs_of(of_kind(*overrides, *RANGE)) == runs_of(same)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ([f"adapter.match={A_RANK - 1}"], rf"must be at least {A_RANK}, .* rank\.min=1, but got"),
        ([f"adapter.match={4 * A_RANK + 1}"], rf"must be at most {4 * A_RANK}, .* rank\.max=4"),
        (["adapter.match=600", "budget=grow"], r"must be null with a budget that is not rank"),
    ],
)
def test_match_that_no_budget_fits_is_refused(
    overrides: list[str], message: str, of_kind: Composed
) -> None:
    with pytest.raises(SettingError, match=rf"adapter\.match {message}"):
        check_inputs(of_kind("adapter=lora", "init=randn", *RANGE, *overrides))


@pytest.mark.parametrize("what", LEARNT)
def test_record_of_learnt_ranks_counts_their_parameters(what: str, of_kind: Composed) -> None:
    run = trained(of_kind(*OWN[what]))
    record, told = run.record, run.record.reported_evaluation
    units = [(32, 32, 32, 40)[place % 4] for place in range(8)]
    assert record.rank_units == units
    spent = sum(unit * k for unit, k in zip(units, told.integer_ranks, strict=True))
    assert told.budget_spent_params == spent
    assert record.spent_average == pytest.approx(spent / A_RANK)
    # Learnt ranks may come to be anything up to rank.max; Fisher's are frozen.
    assert record.n_trained_params["adapter"] == (spent if what == "fisher" else 4 * A_RANK)
    assert record.n_trained_params["logits"] == (8 if what.startswith("learnt") else 0)
    last = record.epochs[-1]
    assert last.budget_spent_params <= 2 * A_RANK
    if what == "fisher":
        assert last.budget_spent_params == 2 * A_RANK


@pytest.mark.parametrize("what", LEARNT)
def test_peft_has_the_logits_of_learnt_ranks(what: str, of_kind: Composed, tmp_path: Path) -> None:
    """Stock PEFT's, by rank_pattern and alpha_pattern alone; each matrix keeps one scale s."""
    peft = pytest.importorskip("peft")
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    run, folder = trained(of_kind(*OWN[what])), tmp_path / "peft"
    adapter, base = open_adapter(run.folder), Path(run.record.settings["model.path"])
    ranks = list(run.integer_ranks)
    assert len(set(ranks)) > 1  # else there would be no patterns to read
    write_export(adapter, "peft", folder, base=base, cache_dir=tmp_path / "cache")
    model = AutoModelForSequenceClassification.from_pretrained(str(base), num_labels=2)
    model = peft.PeftModel.from_pretrained(model, str(folder)).eval()
    tokens = AutoTokenizer.from_pretrained(folder)(
        list(TEXTS.texts), padding=True, return_tensors="pt"
    )
    with torch.no_grad():
        found = model(**tokens).logits.softmax(dim=1)
    classifier = open_classifier(
        run.folder, base=None, cache_dir=tmp_path / "cache", device=torch.device("cpu")
    )
    ours = predict_texts(classifier, TEXTS).probabilities
    assert found.numpy() == pytest.approx(ours, abs=1e-5)
    config = peft.LoraConfig.from_pretrained(str(folder))
    for matrix, rank in zip(run.record.matrices, ranks, strict=True):
        name = f"bert.{matrix}"
        r, alpha = config.rank_pattern.get(name, config.r), config.alpha_pattern
        assert r == rank
        own = alpha.get(name, config.lora_alpha)
        scale = own / rank**0.5 if what == "learnt_rslora" else own / rank
        assert scale == pytest.approx(16 / 4**0.5 if what == "learnt_rslora" else 16 / 4)


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
        (
            ["adapter=lora", "init=randn", "rank=r5_25", "allocation=published"],
            r"allocation\.mode must be one of capped, importance, random_square, soft_topk with "
            r"adapter=lora, but got published, which keeps to no budget but one in entries of ",
        ),
    ],
)
def test_wrong_settings_are_refused(overrides: list[str], message: str, of_kind: Composed) -> None:
    with pytest.raises(SettingError, match=message):
        of_kind(*overrides)


def test_every_kind_has_an_option() -> None:
    options = {file.stem for file in (Path(__file__).parents[1] / "conf" / "adapter").iterdir()}
    assert options == set(adapter_kinds())
