"""The model of the examples: the embedded encoder, the mean over its tokens, and a small head."""

from pathlib import Path
from typing import Any

from torch import Tensor, nn
from transformers import AutoModel
from transformers.modeling_outputs import SequenceClassifierOutput


class Judge(nn.Module):
    """Tells acceptable sentences from others.

    A model of one's own is adapted as transformers' are, if its `base_model` says what is to be
    frozen and adapted; the head beside it is trained in full.
    """

    def __init__(self, base: Path) -> None:
        """Loads the encoder; the head starts at random.

        Args:
            base: folder of a transformers encoder.
        """
        super().__init__()
        self.encoder = AutoModel.from_pretrained(base)
        d = self.encoder.config.hidden_size
        parts = [nn.Dropout(0.1), nn.Linear(d, d), nn.Tanh(), nn.Dropout(0.1), nn.Linear(d, 2)]
        self.head = nn.Sequential(*parts)
        for part in parts:
            if isinstance(part, nn.Linear):
                nn.init.normal_(part.weight, std=0.02)
                nn.init.zeros_(part.bias)

    @property
    def base_model(self) -> nn.Module:
        """The part that is adapted."""
        return self.encoder

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor,
        labels: Tensor | None = None,
        **kwargs: Any,
    ) -> SequenceClassifierOutput:
        """Returns the loss and the logits (b, 2) of sentences (b, L)."""
        hidden = self.encoder(input_ids, attention_mask=attention_mask, **kwargs).last_hidden_state
        is_real = attention_mask[..., None].to(hidden.dtype)  # (b, L, 1)
        logits = self.head((hidden * is_real).sum(dim=1) / is_real.sum(dim=1))
        loss = None if labels is None else nn.functional.cross_entropy(logits, labels)
        return SequenceClassifierOutput(loss=loss, logits=logits)
