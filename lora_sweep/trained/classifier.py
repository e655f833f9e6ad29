"""What all trained classifiers can do, whatever they are kept as, and their predictions."""

from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from lora_sweep.data.corpus import LabelledTexts
from lora_sweep.data.tokens import TokenisedTexts, tokenise
from lora_sweep.metrics import Array
from lora_sweep.trained.about import About


class Classifier(Protocol):
    """A base with what a run trained."""

    @property
    def about(self) -> About:
        """Its origin and use."""
        ...

    @property
    def tokenizer(self) -> Any:
        """Of the base."""
        ...

    def outputs(self, texts: TokenisedTexts) -> Tensor:
        """Returns the outputs (n, n_labels), float32, on the CPU; logits but for regression."""
        ...


@dataclass(frozen=True)
class Predictions:
    """What a classifier says of n texts.

    Attributes:
        values: class numbers, or real numbers for regression (n,).
        probabilities: of the classes (n, n_labels), softmax of the logits; None for regression.
    """

    values: Array
    probabilities: Array | None


def predict_texts(classifier: Classifier, texts: LabelledTexts) -> Predictions:
    """Returns the predictions for texts, whose labels are not looked at.

    Args:
        classifier: opened by `open_classifier`.
        texts: at least one; cut to the length that the run was trained with.
    """
    tokens = tokenise(
        texts,
        classifier.tokenizer,
        max_length=classifier.about.settings["data.max_length"],
        cache_dir=None,
        tokenizer_fingerprint="",
    )
    outputs = classifier.outputs(tokens)
    if classifier.about.is_regression:
        return Predictions(outputs[:, 0].double().numpy(), None)
    probabilities = torch.softmax(outputs.double(), dim=1)
    return Predictions(outputs.argmax(dim=1).numpy(), probabilities.numpy())
