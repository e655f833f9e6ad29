"""Tasks: which columns hold texts and labels, what the labels mean, which metric counts.

A task says nothing of how its dev set is split into parts: that depends on where the corpus came
from (CoLA has one dev part on the hub and two in its own files), so the parts, and those that make
up the headline metric, belong to the corpus.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Task:
    """What a model has to predict, and how it is judged.

    Attributes:
        name: as on the command line.
        text: column of the sentence, or of the first one of a pair.
        text_pair: column of the second sentence; None for single sentences.
        label: column of the label.
        n_labels: number of classes; 1 for regression.
        label_names: name of class 0, 1, ...; empty for regression.
        metrics: names of the metrics; the first is the headline.
        label_range: least and greatest regression label; None for no limits, or for classes.
    """

    name: str
    text: str
    text_pair: str | None
    label: str
    n_labels: int
    label_names: tuple[str, ...]
    metrics: tuple[str, ...]
    label_range: tuple[float, float] | None = None

    @property
    def is_regression(self) -> bool:
        """True where the label is a real number, not a class."""
        return self.n_labels == 1

    def label_words(self, label: float) -> str:
        """Returns a label as messages show it: a number, or the name of a class."""
        return f"{label:g}" if self.is_regression else repr(self.label_names[int(label)])


def _classes(
    name: str, columns: tuple[str, ...], label_names: tuple[str, ...], metrics: tuple[str, ...]
) -> Task:
    text, text_pair = columns if len(columns) == 2 else (columns[0], None)
    return Task(name, text, text_pair, "label", len(label_names), label_names, metrics)


_SENTENCES = ("sentence1", "sentence2")
_ACCEPTABLE = ("unacceptable", "acceptable")
_ENTAILED = ("entailment", "not_entailment")
_ACCURACY = ("accuracy", "macro_f1")
_ACCURACY_F1 = ("accuracy", "f1", "macro_f1")
_MATTHEWS = ("matthews_correlation", "accuracy", "macro_f1")
_CORRELATIONS = ("pearson", "spearman")

# Columns, and the order of the label names, are those of nyu-mll/glue on the hub.
GLUE_TASKS: dict[str, Task] = {
    task.name: task
    for task in (
        _classes("cola", ("sentence",), _ACCEPTABLE, _MATTHEWS),
        _classes("sst2", ("sentence",), ("negative", "positive"), _ACCURACY),
        _classes("mrpc", _SENTENCES, ("not_equivalent", "equivalent"), _ACCURACY_F1),
        _classes("qqp", ("question1", "question2"), ("not_duplicate", "duplicate"), _ACCURACY_F1),
        Task("stsb", *_SENTENCES, "label", 1, (), _CORRELATIONS, label_range=(0.0, 5.0)),
        _classes(
            "mnli",
            ("premise", "hypothesis"),
            ("entailment", "neutral", "contradiction"),
            _ACCURACY,
        ),
        _classes("qnli", ("question", "sentence"), _ENTAILED, _ACCURACY),
        _classes("rte", _SENTENCES, _ENTAILED, _ACCURACY),
        # WNLI alone puts "not_entailment" first.
        _classes("wnli", _SENTENCES, _ENTAILED[::-1], _ACCURACY),
    )
}

TASKS: dict[str, Task] = {
    **GLUE_TASKS,
    "minimal_pairs": Task("minimal_pairs", "text", None, "acceptable", 2, _ACCEPTABLE, _MATTHEWS),
}
