"""What several files share: a tiny base and corpus, settings that train in a second, configs."""

import dataclasses
import signal
from collections.abc import Callable, Generator, Sequence
from pathlib import Path
from typing import Any

import pytest
from composing import composed_once
from hydra import compose, initialize_config_dir
from hypothesis import settings as hypothesis_settings
from omegaconf import DictConfig

from lora_sweep.config.run import RunConfig, to_run_config
from lora_sweep.config.store import CONF
from lora_sweep.plugins import register

register()
# A busy machine is no fault of an example.
hypothesis_settings.register_profile("no_deadline", deadline=None)
hypothesis_settings.load_profile("no_deadline")

WORDS = ("cat", "dog", "bird", "cow", "sees", "likes", "hears", "a", "the", "not", "red", "old")
HIDDEN, LAYERS = 16, 2
NO_PICTURES = ("hydra.callbacks.report.figures=false", "hydra.callbacks.report.page=false")


@pytest.hookimpl(wrapper=True, optionalhook=True)
def pytest_xdist_auto_num_workers() -> Generator[None, int, int]:
    """`-n auto`: one process more than cores, for the time that tests wait for Slurm or Ray."""
    return (yield) + 1


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with slow tests come first, so that short ones are left for the end."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


@pytest.fixture(scope="session", autouse=True)
def ctrl_c_is_heard() -> None:
    """A shell's `pytest &` ignores Ctrl-C, and every process started here would inherit that."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def user_without_home(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a container with a number for a user: no HOME, and no entry among the users."""
    import pwd

    def unknown(uid: int) -> None:
        raise KeyError(f"getpwuid(): uid not found: {uid}")

    for name in ("HOME", "LORA_SWEEP_CACHE", "USER", "LOGNAME", "LNAME", "USERNAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(pwd, "getpwuid", unknown)


@pytest.fixture(scope="session")
def tiny_base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a random BERT of 2 layers (8 adapted matrices) and a fast tokeniser."""
    return make_base(tmp_path_factory.mktemp("base"), "bert")


@pytest.fixture(scope="session")
def tiny_roberta(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same of the family RoBERTa: other special tokens, positions and head."""
    return make_base(tmp_path_factory.mktemp("roberta"), "roberta")


@pytest.fixture(scope="session")
def tiny_deberta(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same of the family DeBERTa, whose batches are padded."""
    return make_base(tmp_path_factory.mktemp("deberta"), "deberta-v2")


def make_base(folder: Path, family: str) -> Path:
    """Fills a folder with a random encoder and a tokeniser, and returns it."""
    import torch
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import Whitespace
    from tokenizers.processors import TemplateProcessing
    from transformers import AutoConfig, AutoModel, PreTrainedTokenizerFast

    is_roberta = family in {"roberta", "mpnet"}
    if is_roberta:
        special = first, pad, last, unknown = ("<s>", "<pad>", "</s>", "<unk>")
    else:
        special = pad, unknown, first, last = ("[PAD]", "[UNK]", "[CLS]", "[SEP]")
    vocabulary = {token: number for number, token in enumerate(special + WORDS)}
    tokenizer = Tokenizer(WordLevel(vocabulary, unk_token=unknown))
    tokenizer.pre_tokenizer = Whitespace()
    tokenizer.post_processor = TemplateProcessing(
        single=f"{first} $A {last}", special_tokens=[(t, vocabulary[t]) for t in (first, last)]
    )
    inputs = {"model_input_names": ["input_ids", "attention_mask"]} if is_roberta else {}
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token=pad,
        unk_token=unknown,
        cls_token=first,
        sep_token=last,
        **inputs,
    ).save_pretrained(folder)
    config = AutoConfig.for_model(
        family,
        vocab_size=len(vocabulary),
        hidden_size=HIDDEN,
        num_hidden_layers=LAYERS,
        num_attention_heads=2,
        intermediate_size=24,
        max_position_embeddings=162 if is_roberta else 160,
        pad_token_id=vocabulary[pad],
        **({"embedding_size": HIDDEN // 2} if family == "electra" else {}),
    )
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        AutoModel.from_config(config).save_pretrained(folder)
    return folder


def sentences(n: int, start: int = 0) -> list[tuple[str, int]]:
    """Different sentences with labels: 1 where the verb is `sees`, else 0; both occur."""
    rows = []
    for number in range(start, start + n):
        first, rest = number % 4, number // 4
        verb = 4 + number % 3
        tail = " ".join(WORDS[7 + (rest // 5**place) % 5] for place in range(3))
        rows.append((f"{WORDS[first]} {WORDS[verb]} {tail} {WORDS[number % 4]}", int(verb == 4)))
    return rows


@pytest.fixture(scope="session")
def tiny_corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with train.tsv (48 rows) and dev.tsv (24 rows), columns text and label."""
    folder = tmp_path_factory.mktemp("corpus")
    for name, rows in (("train", sentences(48)), ("dev", sentences(24, start=48))):
        lines = [f"{text}\t{label}" for text, label in rows]
        (folder / f"{name}.tsv").write_text("\n".join(["text\tlabel", *lines]) + "\n")
    return folder


@pytest.fixture(scope="session")
def tiny_settings(tiny_base: Path, tiny_corpus: Path) -> list[str]:
    """Overrides of a run that trains in about a second, without the places it writes to."""
    return [
        f"model.path={tiny_base}",
        "data=files",
        f"data.path={tiny_corpus}",
        "data.train=train.tsv",
        "data.dev=dev.tsv",
        "training.epochs=2",
        "training.batch_size=16",
        "training.log_every=2",
        "rank.min=1",
        "rank.max=4",
        "rank.average=2",
        "device=cpu",
        *NO_PICTURES,
    ]


@pytest.fixture
def tiny_run(
    tiny_settings: list[str], tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> list[str]:
    """Overrides of a tiny run that writes to `tmp_path/outputs/tiny`."""
    return [
        *tiny_settings,
        f"paths.outputs={tmp_path / 'outputs'}",
        "paths.sweep=tiny",
        f"paths.cache={tmp_path_factory.getbasetemp() / 'cache'}",
    ]


@pytest.fixture(scope="session")
def composed() -> Callable[..., RunConfig]:
    """Command-line overrides -> the typed config."""

    def with_options(options: list[str]) -> DictConfig:
        with initialize_config_dir(CONF):
            return compose("config", overrides=options)

    quickly = composed_once(with_options)
    return lambda *overrides: to_run_config(quickly(overrides))


@pytest.fixture(scope="session")
def run_config(composed: Callable[..., RunConfig]) -> RunConfig:
    """The typed config of a run without any override."""
    return composed()


@pytest.fixture(scope="session")
def changed(run_config: RunConfig) -> Callable[..., RunConfig]:
    """Dotted names with values -> `run_config` with them; every rule is run again.

    Settings that stand with a group are set together, so that only the result must be valid.
    """

    def change(settings: dict[str, Any]) -> RunConfig:
        groups: dict[str, dict[str, Any]] = {}
        for name, value in settings.items():
            group, _, field = name.rpartition(".")
            groups.setdefault(group, {})[field] = value
        root = groups.pop("", {})
        for group, fields in groups.items():
            root[group] = dataclasses.replace(getattr(run_config, group), **fields)
        return dataclasses.replace(run_config, **root)

    return change


@pytest.fixture
def unrendered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pictures are drawn but not turned into pixels and paths: their files are empty."""
    from lora_sweep.report.figures import write

    def touch(figure: Any, path: Path) -> None:
        for suffix in (".png", ".svg"):
            path.with_suffix(suffix).touch()

    monkeypatch.setattr(write, "_save", touch)


@pytest.fixture(scope="session")
def trained_runs(
    composed: Callable[..., RunConfig],
    tiny_settings: list[str],
    tiny_roberta: Path,
    tiny_deberta: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> dict[str, Path]:
    """What -> folder of a finished run, trained when it is asked for.

    All but `mean` read the first token.

    `bert`, `other_seed` and `longer` are one sweep: two seeds of a cell, and another cell.
    """
    from lora_sweep.execution.content import runs_of
    from lora_sweep.execution.execute import run_cell

    outputs, cache = tmp_path_factory.mktemp("trained"), tmp_path_factory.getbasetemp() / "cache"
    places = [f"paths.outputs={outputs}", f"paths.cache={cache}"]
    learnt = ["model.pooling=cls", "init=randn", "learning_rate.adapter=0.5"]
    own = {
        "bert": learnt,
        "other_seed": [*learnt, "seed=1"],
        "longer": [*learnt, "training.epochs=3"],
        "roberta": ["model.pooling=cls", f"model.path={tiny_roberta}", "paths.sweep=roberta"],
        "deberta": [
            *("model=deberta_v3_base", f"model.path={tiny_deberta}", "paths.sweep=deberta"),
        ],
        "mean": ["model.pooling=mean", "paths.sweep=mean"],
        "fixed": [
            *("model.pooling=cls", "init=fixed", "paths.sweep=fixed"),
            *("model.lora_alpha=6", "model.adapter_dropout=0.25"),
        ],
        "randomised": [*learnt, "model.factors=randomised", "paths.sweep=randomised"],
        "pairs": ["model.pooling=cls", "data.text_pair=text", "paths.sweep=pairs"],
        "regression": ["model.pooling=cls", "data.regression=true", "paths.sweep=regression"],
    }

    def train(what: str) -> Path:
        config = composed(*tiny_settings, *places, *own[what])
        run_cell(config)
        (name,) = runs_of(config)
        return outputs / config.paths.sweep / name

    return _TrainedRuns(train, of_one_sweep=("bert", "other_seed", "longer"))


class _TrainedRuns(dict[str, Path]):
    """Runs that are trained when they are asked for, those of one sweep together."""

    def __init__(self, train: Callable[[str], Path], of_one_sweep: Sequence[str]) -> None:
        self.train, self.of_one_sweep = train, of_one_sweep

    def __missing__(self, what: str) -> Path:
        for one in self.of_one_sweep if what in self.of_one_sweep else (what,):
            self[one] = self.train(one)
        return self[what]
