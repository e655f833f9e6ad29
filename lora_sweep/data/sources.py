"""Where corpora come from: the embedded one, CoLA's own files, GLUE on the hub, a user's files.

All of them end as a `Corpus` that has passed `check_corpus`.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lora_sweep.data.corpus import Corpus, LabelledTexts, check_corpus
from lora_sweep.data.hub import glue_tables
from lora_sweep.data.tasks import GLUE_TASKS, TASKS, Task
from lora_sweep.data.text_files import check_readable, numbered_lines, read_text
from lora_sweep.errors import CorpusError, SettingError

COLA_FILES = {
    "train": "in_domain_train.tsv",
    "in_domain": "in_domain_dev.tsv",
    "out_of_domain": "out_of_domain_dev.tsv",
}
_DOMAINS = ("in_domain", "out_of_domain")


def load_minimal_pairs(*, seed: int, n_train: int, n_dev: int, n_out_of_domain: int) -> Corpus:
    """Returns the embedded corpus, generated; the dev part `in_domain` makes the headline.

    Args:
        seed: fixes all sentences.
        n_train: training sentences.
        n_dev: sentences of the dev part `in_domain`.
        n_out_of_domain: sentences of the dev part `out_of_domain`.
    """
    from lora_sweep.data.minimal_pairs.corpus import generate_splits

    generated = generate_splits(
        seed=seed, n_train=n_train, n_dev=n_dev, n_out_of_domain=n_out_of_domain
    )
    splits = {
        name: LabelledTexts(
            tuple(judgement.text for judgement in generated[name]),
            None,
            tuple(int(judgement.acceptable) for judgement in generated[name]),
        )
        for name in ("train", *_DOMAINS)
    }
    corpus = Corpus(TASKS["minimal_pairs"], splits.pop("train"), splits, None, ("in_domain",))
    return check_corpus(corpus, published=False)


def load_cola(folder: Path) -> Corpus:
    """Returns CoLA from its authors' files; both dev parts make up the headline, as in GLUE.

    Args:
        folder: the one that holds the three files in_domain_train.tsv, in_domain_dev.tsv and
            out_of_domain_dev.tsv (`raw` in the published archive).

    Raises:
        CorpusError: a file is missing, or a line is not source, label, mark and sentence.
    """
    files = {name: folder / file for name, file in COLA_FILES.items()}
    check_cola(folder)
    splits = {name: _read_cola(file) for name, file in files.items()}
    corpus = Corpus(TASKS["cola"], splits.pop("train"), splits, None, _DOMAINS, files)
    return check_corpus(corpus, published=True)


def check_cola(folder: Path) -> None:
    """Checks that CoLA's three files are there and can be opened.

    Raises:
        CorpusError: one is missing, or can't be opened.
    """
    missing = [name for name in COLA_FILES.values() if not (folder / name).is_file()]
    if missing:
        raise CorpusError(
            f"{folder} must be the folder `raw` of CoLA's archive: it lacks {', '.join(missing)}"
        )
    check_readable([folder / name for name in COLA_FILES.values()])


def _read_cola(path: Path) -> LabelledTexts:
    texts, labels = [], []
    for number, line in numbered_lines(read_text(path)):
        # Nothing is quoted: a quote belongs to the sentence.
        fields = line.split("\t")
        where = f"{path}, line {number}"
        if len(fields) != 4:
            raise CorpusError(
                f"{where}: must have 4 columns (source, label, mark, sentence) separated by tabs, "
                f"but got {len(fields)}"
            )
        _, label, _, sentence = fields
        if label not in ("0", "1"):
            raise CorpusError(f"{where}, column 2 (label): must be 0 or 1, but got {label!r}")
        if not sentence.strip():
            raise CorpusError(f"{where}, column 4 (sentence): is empty")
        texts.append(sentence)
        labels.append(int(label))
    return LabelledTexts(tuple(texts), None, tuple(labels))


def load_glue(name: str) -> Corpus:
    """Returns a GLUE task from the hub's cache or, where there is a network, from the hub.

    The dev parts are `dev` or, for mnli, `matched` (the headline) and `mismatched`.

    Args:
        name: one of the nine tasks.

    Raises:
        SettingError: no such task.
        CorpusError: the task is neither cached nor reachable; says what to do.
    """
    if name not in GLUE_TASKS:
        raise SettingError(f"the GLUE task must be one of {', '.join(GLUE_TASKS)}, not {name!r}")
    task = GLUE_TASKS[name]
    hub_splits = _glue_splits(name)
    tables = glue_tables(name, tuple(hub_splits.values()))
    splits = {part: _glue_texts(tables[split], task) for part, split in hub_splits.items()}
    headline = ("matched",) if name == "mnli" else ("dev",)
    corpus = Corpus(task, splits.pop("train"), splits, None, headline)
    return check_corpus(corpus, published=True)


def _glue_splits(name: str) -> dict[str, str]:
    """Returns our names of the splits -> the hub's."""
    if name != "mnli":
        return {"train": "train", "dev": "validation"}
    return {
        "train": "train",
        "matched": "validation_matched",
        "mismatched": "validation_mismatched",
    }


def _glue_texts(table: Mapping[str, Sequence[Any]], task: Task) -> LabelledTexts:
    pairs = None if task.text_pair is None else tuple(table[task.text_pair])
    return LabelledTexts(tuple(table[task.text]), pairs, tuple(table[task.label]))
