"""The model families that train: a row each, read by all who need a family's facts.

A family is what a base's config calls `model_type`. One without a row is refused: decoders pool
nothing in their first token, ALBERT's layers share their matrices, and others keep facts that runs
read under names that nobody has checked.
"""

from dataclasses import dataclass, field
from typing import Any

from lora_sweep.errors import BaseModelError


@dataclass(frozen=True)
class StockHead:
    """Where a family's stock classifier of transformers keeps its encoder and its head.

        outputs = out(tanh(dense(h)))        h: the first token's last hidden state (d,)

    Attributes:
        encoder: name of the encoder's module.
        dense, out: names of the head's two linear layers.
        trained: names of the modules that hold them.
        config: settings of the config that the head needs.
    """

    encoder: str
    dense: str
    out: str
    trained: tuple[str, ...]
    config: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Family:
    """What is known of a family.

    Attributes:
        adapted: ends of the names of its matrices that stand for the published study's four.
        hidden_size, n_heads: names of these two in its config.
        dropouts: names of the config's dropouts inside the encoder; that of hidden states first.
        head_dropout: name of the dropout of its stock head.
        pad_id: of its padding token, where a config names none.
        starts_behind_padding: whether position ids start behind the padding token's id, not at 0.
        attention_dropout: end of the names of the modules that drop attention weights, for ragged
            batches; None where these are not known to work, and batches are padded.
        head: of its stock classifier; None where it computes something else than our head.
    """

    adapted: tuple[str, ...] = ("query", "value", "attention.output.dense", "output.dense")
    hidden_size: str = "hidden_size"
    n_heads: str = "num_attention_heads"
    dropouts: tuple[str, ...] = ("hidden_dropout_prob", "attention_probs_dropout_prob")
    head_dropout: str = "classifier_dropout"
    pad_id: int = 0
    starts_behind_padding: bool = False
    attention_dropout: str | None = None
    head: StockHead | None = None

    def n_unused_positions(self, pad_id: int) -> int:
        """Returns how many position ids lie before that of a text's first token.

        Args:
            pad_id: id of the padding token.
        """
        return pad_id + 1 if self.starts_behind_padding else 0

    def first_position(self, pad_id: int) -> int | None:
        """Returns the position id of a text's first token; None where batches must be padded.

        Args:
            pad_id: id of the padding token.
        """
        return None if self.attention_dropout is None else self.n_unused_positions(pad_id)

    def dropout_of_head(self, config: Any) -> float:
        """Returns the model's own dropout of its head, or else of its hidden states.

        Args:
            config: of transformers.
        """
        own: float | None = getattr(config, self.head_dropout, None)
        hidden: float = getattr(config, self.dropouts[0])
        return hidden if own is None else own


_ROBERTA = Family(
    pad_id=1,
    starts_behind_padding=True,
    attention_dropout="self.dropout",
    head=StockHead("roberta", "classifier.dense", "classifier.out_proj", trained=("classifier",)),
)
FAMILIES: dict[str, Family] = {
    "bert": Family(
        attention_dropout="self.dropout",
        head=StockHead(
            "bert", "bert.pooler.dense", "classifier", trained=("pooler", "classifier")
        ),
    ),
    "roberta": _ROBERTA,
    "xlm-roberta": _ROBERTA,
    "camembert": _ROBERTA,
    "electra": Family(attention_dropout="self.dropout"),
    "deberta-v2": Family(
        adapted=("query_proj", "value_proj", "attention.output.dense", "output.dense"),
        head_dropout="cls_dropout",
        head=StockHead(
            "deberta",
            "pooler.dense",
            "classifier",
            trained=("pooler", "classifier"),
            config={"pooler_hidden_act": "tanh"},  # else its pooler's own activation
        ),
    ),
    "distilbert": Family(
        adapted=("q_lin", "v_lin", "out_lin", "lin2"),
        hidden_size="dim",
        n_heads="n_heads",
        dropouts=("dropout", "attention_dropout"),
        head_dropout="seq_classif_dropout",
    ),
    "mpnet": Family(
        adapted=("attn.q", "attn.v", "attn.o", "output.dense"),
        pad_id=1,
        starts_behind_padding=True,
        head=StockHead(
            "mpnet", "classifier.dense", "classifier.out_proj", trained=("classifier",)
        ),
    ),
    "modernbert": Family(
        adapted=("Wqkv", "attn.Wo", "mlp.Wo"),
        dropouts=("mlp_dropout", "attention_dropout", "embedding_dropout"),
        pad_id=50283,
    ),
}


def family_of(model_type: str) -> Family:
    """Returns what is known of a family.

    Args:
        model_type: as in the base's config.

    Raises:
        BaseModelError: the family has no row.
    """
    if model_type not in FAMILIES:
        raise BaseModelError(
            f"the base's model_type must be one of {', '.join(FAMILIES)}, whose encoders "
            f"are known to train, but got {model_type}"
        )
    return FAMILIES[model_type]
