"""Random small models with a classification head, and batches for them."""

from typing import Any

import torch
from torch import Tensor
from transformers import AutoConfig, AutoModelForSequenceClassification

from lora_sweep.adapters.inject import STUDY_SUFFIXES
from lora_sweep.library.plan import AdapterPlan

PLAN = AdapterPlan(rank_min=1, rank_max=6, rank_average=4, init="randn")
DEBERTA = ("query_proj", "value_proj", "attention.output.dense", "output.dense")
DISTILBERT = ("q_lin", "v_lin", "out_lin", "lin2")
MPNET = ("attn.q", "attn.v", "attn.o", "output.dense")
MODERNBERT = ("Wqkv", "attn.Wo", "mlp.Wo")
FAMILIES = {
    "bert": STUDY_SUFFIXES,
    "roberta": STUDY_SUFFIXES,
    "xlm-roberta": STUDY_SUFFIXES,
    "camembert": STUDY_SUFFIXES,
    "electra": STUDY_SUFFIXES,
    "deberta-v2": DEBERTA,
    "distilbert": DISTILBERT,
    "mpnet": MPNET,
    "modernbert": MODERNBERT,
}


def make_model(family: str = "bert", *, dropout: float = 0.0) -> Any:
    """Two layers of width 16; the same weights at every call."""
    shape: dict[str, Any] = {
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "hidden_size": 16,
        "intermediate_size": 24,
        "hidden_dropout_prob": dropout,
        "attention_probs_dropout_prob": dropout,
    }
    if family == "distilbert":
        shape = {"n_layers": 2, "n_heads": 2, "dim": 16, "hidden_dim": 24}
        shape |= {"dropout": dropout, "attention_dropout": dropout, "seq_classif_dropout": 0.0}
    common = {
        "initializer_range": 0.3,
        "vocab_size": 40,
        "max_position_embeddings": 40,
        "pad_token_id": 1,
    }
    tokens = {"bos_token_id": 0, "eos_token_id": 2, "cls_token_id": 0, "sep_token_id": 2}
    config = AutoConfig.for_model(family, **common, **shape, **tokens)
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        return AutoModelForSequenceClassification.from_config(config, attn_implementation="eager")


def make_batch(n: int = 6, seed: int = 1) -> dict[str, Tensor]:
    """Texts of 5 tokens (n, 5), the last one padded, with labels (n,)."""
    generator = torch.Generator().manual_seed(seed)
    ids = torch.randint(3, 40, (n, 5), generator=generator)
    ids[-1, 3:] = 1
    return {
        "input_ids": ids,
        "attention_mask": (ids != 1).long(),
        "labels": (ids[:, 0] < 20).long(),
    }
