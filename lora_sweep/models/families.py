"""The model families that are known: a row each, read by all who need a family's facts.

A family is what a base's config calls `model_type`. One without a row trains too: its batches are
padded, and no stock classifier is known to hold its head.
"""

from dataclasses import dataclass, field


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
        starts_behind_padding: whether position ids start behind the padding token's id, not at 0.
        attention_dropout: end of the names of the modules that drop attention weights, for ragged
            batches; None where these are not known to work.
        head: of its stock classifier; None where it computes something else than our head.
    """

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


_ROBERTA = Family(
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
    "deberta-v2": Family(
        head=StockHead(
            "deberta",
            "pooler.dense",
            "classifier",
            trained=("pooler", "classifier"),
            config={"pooler_hidden_act": "tanh"},  # else its pooler's own activation
        ),
    ),
}
_UNKNOWN = Family()


def family_of(model_type: str) -> Family:
    """Returns what is known of a family; nothing for one without a row.

    Args:
        model_type: as in the base's config.
    """
    return FAMILIES.get(model_type, _UNKNOWN)
