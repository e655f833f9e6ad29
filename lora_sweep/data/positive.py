"""Which of two classes F1 is of: it becomes class 1, `metrics.POSITIVE`."""

from dataclasses import replace

from lora_sweep.data.corpus import Corpus, LabelledTexts
from lora_sweep.errors import SettingError
from lora_sweep.metrics import METRICS


def with_positive(corpus: Corpus, label: str | None) -> Corpus:
    """Returns the corpus with a label as class 1, so that F1 is of it.

    Args:
        corpus: without a selection split.
        label: one of the two labels' names; None leaves the classes as they are.

    Raises:
        SettingError: no metric of the corpus is of one class, or there is no such label.
    """
    task = corpus.task
    if label is None:
        return corpus
    if not any(METRICS[name].is_positives for name in task.metrics):
        raise SettingError(
            f"data.positive must be null where F1 is none of the metrics "
            f"({', '.join(task.metrics)}), but got {label}"
        )
    if label not in task.label_names:
        raise SettingError(
            f"data.positive must be one of {', '.join(task.label_names)}, but got {label}"
        )
    if label == task.label_names[1]:
        return corpus
    return replace(
        corpus,
        task=replace(task, label_names=task.label_names[::-1]),
        train=_swapped(corpus.train),
        dev={name: _swapped(part) for name, part in corpus.dev.items()},
    )


def _swapped(texts: LabelledTexts) -> LabelledTexts:
    return replace(texts, labels=tuple(1 - label for label in texts.labels))
