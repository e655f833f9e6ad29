"""Whether the labels let a run be judged: its headline metric must be defined on them."""

from collections.abc import Sequence

from lora_sweep.data.corpus import Corpus
from lora_sweep.errors import CorpusError
from lora_sweep.metrics import unmet_need
from lora_sweep.vocabulary import SELECTION, TRAIN


def check_headline(corpus: Corpus) -> Corpus:
    """Returns the corpus if its headline metric is defined wherever a run is judged by it.

    That is on the headline parts together and on the selection split. Other metrics may be
    undefined, and so may single parts.

    Args:
        corpus: with its selection split.

    Raises:
        CorpusError: it is undefined; the message says why, and in which file.
    """
    dev = [label for part in corpus.headline_parts for label in corpus.dev[part].labels]
    _check(corpus, corpus.where(*corpus.headline_parts), dev)
    if corpus.selection is not None:
        where = f"{SELECTION}, held out of {corpus.where(TRAIN)}"
        _check(corpus, where, corpus.selection.labels)
    return corpus


def _check(corpus: Corpus, where: str, labels: Sequence[float]) -> None:
    task = corpus.task
    if (need := unmet_need(task.metrics[0], labels)) is None:
        return
    found = [task.label_words(label) for label in dict.fromkeys(labels)]
    raise CorpusError(
        f"{where}: the reported metric {task.metrics[0]} is undefined, for it needs {need}, but "
        f"column {task.label!r} has only {', '.join(found)} in {len(labels)} rows"
    )
