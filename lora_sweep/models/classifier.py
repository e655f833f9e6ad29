"""Stock sequence classifiers of transformers whose own head is the head that runs train.

Where each family keeps that head stands in `families`: BERT has `dense` in its pooler, RoBERTa in
its classifier. Other families compute something else behind the encoder.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from lora_sweep.errors import BaseModelError
from lora_sweep.models.base import base_shape, check_weights
from lora_sweep.models.families import FAMILIES, StockHead
from lora_sweep.vocabulary import HEAD_DENSE, HEAD_OUT


def stock_head(folder: Path, pooling: str) -> StockHead:
    """Returns where the base's family keeps a head like ours.

    Args:
        folder: of the base.
        pooling: of the run: `cls` or `mean`.

    Raises:
        BaseModelError: the family's own head can't compute what ours does; says what to do.
    """
    head = base_shape(folder).family.head
    fault = stock_fault(folder, pooling)
    if head is None or fault is not None:
        raise BaseModelError(
            f"{fault}: export it with --to loraxs, which lora_sweep.predict and .evaluate read"
            + ("" if head is None else ", or train the run again with model.pooling=cls")
        )
    return head


def stock_fault(folder: Path, pooling: str) -> str | None:
    """Returns why no stock classifier computes what a run does; None where one does.

    Args:
        folder: of the base.
        pooling: of the run: `cls` or `mean`.
    """
    shape = base_shape(folder)
    if shape.family.head is None:
        known = ", ".join(name for name, family in FAMILIES.items() if family.head is not None)
        return (
            "the base must be of a family whose own classifier can hold the run's head "
            f"({known}), but got {shape.model_type}"
        )
    if pooling != "cls":
        return (
            f"model.pooling must be cls, for {shape.model_type}'s own classifier reads the first "
            f"token alone, but got {pooling}"
        )
    return None


def load_classifier(
    folder: Path, label_names: Sequence[str], *, place: StockHead | None = None
) -> Any:
    """Returns transformers' classifier over a model, float32, in evaluation mode.

    Args:
        folder: of a base or of a whole classifier.
        label_names: of class 0, 1, ...; empty for regression.
        place: where a base's head is, which is random then; None for a whole classifier.

    Raises:
        BaseModelError: transformers can't build it, or its files lack some of its weights.
    """
    from transformers import AutoConfig, AutoModelForSequenceClassification
    from transformers.utils import logging

    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    labels = dict(enumerate(label_names)) or {0: "LABEL_0"}
    try:
        config = AutoConfig.from_pretrained(folder, trust_remote_code=False)
        config.id2label = labels
        config.label2id = {name: number for number, name in labels.items()}
        config.problem_type = "single_label_classification" if label_names else "regression"
        for name, value in ({} if place is None else place.config).items():
            setattr(config, name, value)
        with torch.random.fork_rng([]):  # the head's random start, which nobody uses
            model, report = AutoModelForSequenceClassification.from_pretrained(
                folder,
                config=config,
                dtype=torch.float32,
                use_safetensors=True,
                trust_remote_code=False,
                output_loading_info=True,
            )
    except Exception as error:  # the libraries' classes are many, and some are plain Exceptions
        raise BaseModelError(f"the model in {folder} can't be loaded: {error}") from error
    check_weights(folder, report["missing_keys"], may_lack=() if place is None else place.trained)
    return model.eval()


@torch.no_grad()
def set_head(model: nn.Module, place: StockHead, head: Mapping[str, Tensor]) -> None:
    """Puts a run's head into a stock classifier.

    Args:
        model: of `load_classifier`.
        place: where its head is.
        head: `head.dense.weight` (d, d), `head.dense.bias` (d,), `head.out.weight` (n_labels, d),
            `head.out.bias` (n_labels,).
    """
    for ours, theirs in ((HEAD_DENSE, place.dense), (HEAD_OUT, place.out)):
        linear = model.get_submodule(theirs)
        for part in ("weight", "bias"):
            linear.get_parameter(part).copy_(head[f"{ours}.{part}"])
