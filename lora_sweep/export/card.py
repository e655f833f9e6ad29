"""The model card of an export, in the hub's format: what, from which run, how good, its limits."""

import json
import statistics
import unicodedata
from typing import Any

from lora_sweep.export.stock import CLASSIFIER
from lora_sweep.metrics import metric_words
from lora_sweep.models.families import StockHead
from lora_sweep.models.hub_names import HubModel
from lora_sweep.trained.about import About
from lora_sweep.vocabulary import FIXED, LORA_XS, RANK_PATTERN

_WHAT = {
    "peft": "A LoRA adapter with a classification head, which stock PEFT loads.",
    "merged": "A plain transformers classifier, with the adapter's updates in its weights.",
    "loraxs": "The trained R's and the head of a LoRA-XS adapter; A and B are made anew from the "
    "base, which is needed besides.",
    RANK_PATTERN: "The ranks that a run has learnt, for a LoRA that is trained by PEFT.",
}
_LIBRARIES = {
    "peft": "peft",
    "merged": "transformers",
    "loraxs": "lora_sweep",
    RANK_PATTERN: "peft",
}
_USE_MERGED = """\
from transformers import AutoModelForSequenceClassification, AutoTokenizer

model = AutoModelForSequenceClassification.from_pretrained("DIR")
tokenizer = AutoTokenizer.from_pretrained("DIR")"""
_USE_PEFT = """\
from peft import PeftModel
from transformers import AutoConfig, AutoModelForSequenceClassification, AutoTokenizer

config = AutoConfig.from_pretrained("DIR", subfolder="{classifier}")  # has the labels
base = AutoModelForSequenceClassification.from_pretrained({base}, {revision}config=config)
model = PeftModel.from_pretrained(base, "DIR").eval()
tokenizer = AutoTokenizer.from_pretrained("DIR")"""
_USE_RANKS = """\
import json
from pathlib import Path

from peft import LoraConfig

ranks = json.loads(Path("DIR/rank_pattern.json").read_text())
# alpha_pattern: PEFT's factor alpha / rank is 1 for every matrix.
config = LoraConfig(
    task_type="SEQ_CLS", target_modules=list(ranks), rank_pattern=ranks, alpha_pattern=ranks
)"""


def model_card(about: About, place: StockHead | None, hub: HubModel | None) -> str:
    """Returns the card as Markdown with the hub's YAML header.

    Args:
        about: of the export.
        place: where a stock classifier of the family keeps its head; None for other kinds.
        hub: what the base is called on the hub; None for a folder that is of no hub model.
    """
    from huggingface_hub import ModelCardData
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("lora_sweep.export", "templates"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        autoescape=False,  # Markdown, from settings that were checked
    )
    data: dict[str, Any] = {
        "library_name": _LIBRARIES[about.kind],
        "pipeline_tag": "text-classification",
        "tags": ["lora_sweep", _tag(about), about.settings["data.task"]],
        "base_model": None if hub is None else hub.name,
        "model_name": about.run,
        "eval_results": [] if about.kind == RANK_PATTERN else _results(about),
    }
    header = ModelCardData(**{name: value for name, value in data.items() if value})
    return environment.get_template("card.md.j2").render(
        card_data=header.to_yaml(),
        title=f"{_plain(about.settings['data.task'])}: {_plain(about.run)}",
        what=_what(about),
        about=about,
        words=lambda name: _metric_words(name, about),
        base=_base(about, hub),
        run=_code(about.run),
        method=about.adapter.method,
        allocation=_allocation(about),
        data=_data(about),
        labels=", ".join(map(_plain, about.label_names)) or "a real number",
        use=_use(about, hub),
        language="sh" if about.kind == "loraxs" else "python",
        spread=_spread(about),
        limits=_limits(about, place),
    )


def _tag(about: About) -> str:
    """What the hub finds adapters of this kind by."""
    return about.adapter.name.replace("_", "-")


def _what(about: About) -> str:
    """What the export is, in a sentence."""
    if about.kind == "loraxs" and about.adapter.name != LORA_XS:
        return f"What a run of the kind {about.adapter.label} trained; the base is needed besides."
    return _WHAT[about.kind]


def _base(about: About, hub: HubModel | None) -> str:
    """The base in words: its name and revision on the hub, or the path of its folder."""
    if hub is None:
        return _code(about.settings["model.path"])
    return hub.name + (f", revision {_code(hub.revision)}" if hub.revision else "")


def _results(about: About) -> list[Any]:
    from huggingface_hub import EvalResult

    task = about.settings["data.task"]
    return [
        EvalResult(
            task_type="text-classification",
            dataset_type=task,
            dataset_name=task,
            dataset_split="dev",
            metric_type=name,
            metric_value=value,
        )
        for name, value in about.metrics.items()
        if "/" not in name and value is not None
    ]


def _allocation(about: About) -> str:
    settings = about.settings
    adapter = settings.get("model.adapter")
    start = "" if adapter is None else f"; R starts from {_code(adapter)}"
    if not about.adapter.has_matrices:
        return "no matrix is adapted"
    if settings["init"] == FIXED:
        return f"all ranks fixed at {settings['rank.average']}{start}"
    lr = "" if settings["lr"] is None else f", lr {settings['lr']:g}"
    source = f" of {_code(settings['init.run'])}" if "init.run" in settings else ""
    return f"its ranks allocated by init={settings['init']}{source}{lr}{start}"


def _data(about: About) -> str:
    settings = about.settings
    sizes = [
        f"{name.removeprefix('data.')} {settings[name]}"
        for name in ("data.n_train", "data.n_dev", "data.train", "data.dev")
        if settings.get(name) is not None
    ]
    task = _plain(settings["data.task"])
    return task + (f" ({', '.join(map(_plain, sizes))})" if sizes else "")


def _spread(about: About) -> str:
    """The headline metric over the seeds of the run's cell."""
    values = [100 * value for value in about.seeds.values()]
    metric = _metric_words(about.metric, about)
    seeds = ", ".join(f"{seed}: {100 * value:.2f}" for seed, value in about.seeds.items())
    if len(values) < 2:
        return f"One seed of this cell was at hand ({seeds}): the spread is not known."
    return (
        f"Over the {len(values)} seeds of the run's cell, {metric} is "
        f"{statistics.median(values):.2f} ± {statistics.stdev(values):.2f} (median ± sample "
        f"standard deviation; by seed {seeds})."
    )


def _metric_words(name: str, about: About) -> str:
    return metric_words(name, [_plain(label) for label in about.label_names])


def _limits(about: About, place: StockHead | None) -> list[str]:
    settings = about.settings
    if about.kind == RANK_PATTERN:
        return [
            f"The ranks were learnt with {about.adapter.label}, for one task, on one corpus: what "
            "a LoRA that starts with them reaches was not measured; the metrics above are not its."
        ]
    limits = ["It was trained for one task, on one corpus; on other texts it was not measured."]
    if not settings["data.selection_fraction"]:
        limits.append(
            "The epoch was chosen on the dev set that is reported above, which makes it look "
            "better than it is."
        )
    if settings["precision"] == "bfloat16" and about.kind != "loraxs":
        limits.append("The run's own numbers are of bfloat16 products; here they are float32.")
    if about.kind == "peft" and place is not None and place.config:
        needed = ", ".join(f'{name}="{value}"' for name, value in place.config.items())
        limits.append(f"Loaded without `{needed}`, the base computes another head: see «Use».")
    if about.kind == "loraxs":
        limits.append("It works with the base of this fingerprint only, and with lora_sweep.")
    limits.append("Licence and biases are those of the base and the corpus; see theirs.")
    return limits


def _use(about: About, hub: HubModel | None) -> str:
    if about.kind == "loraxs":
        return "python -m lora_sweep.predict DIR --input FILE --output FILE"
    if about.kind == RANK_PATTERN:
        return _USE_RANKS
    if about.kind == "merged":
        return _USE_MERGED
    revision = "" if hub is None or hub.revision is None else f"revision={_string(hub.revision)}, "
    name = _string("BASE" if hub is None else hub.name)
    return _USE_PEFT.format(classifier=CLASSIFIER, base=name, revision=revision)


def _string(text: str) -> str:
    """A text as Python writes it, in a block of code."""
    return json.dumps(text).replace("`", "\\x60")


def _plain(text: object) -> str:
    """A text that Markdown takes for nothing but text, on one line."""
    return "".join(f"\\{char}" if char in "\\`*_[]<>|#" else char for char in _visible(text))


def _code(text: object) -> str:
    """A text as code within a line; a backtick in it would end the code."""
    return f"`{_visible(text).replace('`', chr(39))}`"


def _visible(text: object) -> str:
    """A text on one line without characters that nobody sees and that change what others show.

    Such turn the direction of writing or are no characters of a text (Unicode category C).
    """
    shown = "".join(
        " " if char.isspace() else "\ufffd" if unicodedata.category(char)[0] == "C" else char
        for char in str(text)
    )
    return " ".join(shown.split())
