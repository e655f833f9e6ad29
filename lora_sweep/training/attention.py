"""Attention over ragged batches, registered with transformers under `RAGGED`.

Everything in an encoder but attention works on tokens one by one. So a ragged batch runs through
the encoder as one long text (1, T), and attention alone gathers each text's tokens into a row of
its own, attends within it, and puts the results back in line.
"""

from typing import Any

from torch import Tensor, nn
from torch.nn import functional

from lora_sweep.data.batches import Batch

RAGGED = "lora_sweep_ragged"

_ROBERTA_FAMILIES = ("roberta", "xlm-roberta", "camembert")


def first_position(model_type: str, pad_id: int) -> int | None:
    """Returns the position id of a text's first token, or None where ragged batches don't work.

    Args:
        model_type: the family, as in the model's config.
        pad_id: id of the padding token.
    """
    if model_type in _ROBERTA_FAMILIES:
        return pad_id + 1
    return 0 if model_type == "bert" else None


def register() -> None:
    """Makes the attention known to transformers as `RAGGED`."""
    from transformers import AttentionInterface, AttentionMaskInterface

    AttentionInterface.register(RAGGED, ragged_attention)
    AttentionMaskInterface.register(RAGGED, _no_mask)


def ragged_attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    **options: Any,
) -> tuple[Tensor, None]:
    """Returns the attention of every token to those of its own text (1, T, heads, d_head).

    The signature is that of transformers' attention functions.

    Args:
        module: the attention module.
        query: (1, heads, T, d_head); `key` and `value` likewise.
        key: see `query`.
        value: see `query`.
        attention_mask: unused; the batch knows its texts.
        options: `batch`, the ragged batch; `dropout`, of the attention weights; `scaling`.
    """
    batch: Batch = options["batch"]
    q, k, v = (batch.padded(x.transpose(1, 2)).transpose(1, 2) for x in (query, key, value))
    mixed = functional.scaled_dot_product_attention(
        q,
        k,
        v,
        attn_mask=batch.is_real[:, None, None, :],
        dropout_p=options.get("dropout", 0.0),
        scale=options.get("scaling"),
    )  # (K b, heads, L, d_head)
    return batch.ragged(mixed.transpose(1, 2)), None


def _no_mask(*args: Any, **kwargs: Any) -> None:
    """The batch itself knows which tokens are one text."""
