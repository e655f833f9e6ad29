"""A base's config: what runs must find in it, and the models that it tells do not train here."""

import json
from pathlib import Path

import pytest

from lora_sweep.errors import BaseModelError
from lora_sweep.models.config import read_config

CONFIG = {"model_type": "bert", "hidden_size": 8, "num_attention_heads": 4, "vocab_size": 30}


def configured(folder: Path, **fields: object) -> Path:
    (folder / "config.json").write_text(json.dumps(CONFIG | fields))
    return folder


def test_config_is_what_the_file_says(tmp_path: Path) -> None:
    assert read_config(configured(tmp_path, pad_token_id=3)) == CONFIG | {"pad_token_id": 3}


@pytest.mark.parametrize(
    "content",
    [
        *(None, "{", "{}", "[]", '{"model_type": "bert"}'),
        json.dumps(CONFIG | {"hidden_size": None}),
        json.dumps(CONFIG | {"vocab_size": "many"}),
        json.dumps(CONFIG | {"max_position_embeddings": [512]}),
        json.dumps(CONFIG | {"pad_token_id": "none"}),
        json.dumps(CONFIG | {"model_type": "distilbert"}),  # its size is called dim
    ],
)
def test_unreadable_config_is_refused(content: str | None, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / "config.json").write_text(content)
    with pytest.raises(BaseModelError, match=r"config\.json must have model_type, its family"):
        read_config(tmp_path)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (
            {"quantization_config": {"quant_method": "bitsandbytes", "load_in_4bit": True}},
            r"got one quantised by bitsandbytes: give the model that it was made from",
        ),
        ({"quantization_config": {"bits": 4}}, r"quantised by an unknown method"),
        ({"is_decoder": True}, r"be an encoder, .* got is_decoder=true"),
        ({"position_embedding_type": "relative_key"}, r"absolute positions, but got .*=relative"),
        ({"position_embedding_type": "alibi"}, r"absolute positions, but got .*=alibi"),
        ({"auto_map": {"AutoModel": "modeling.Own"}}, r"code of its own \(auto_map\), which is"),
        ({"embedding_size": 16}, r"embeddings of at most its hidden size 8, but got 16"),
    ],
)
def test_model_that_does_not_train_is_refused(
    fields: dict[str, object], message: str, tmp_path: Path
) -> None:
    configured(tmp_path, **fields)
    with pytest.raises(BaseModelError, match=rf"^the model in .* must .*{message}"):
        read_config(tmp_path)


@pytest.mark.parametrize(
    "fields",
    [
        {"quantization_config": None, "is_decoder": False, "position_embedding_type": "absolute"},
        {"auto_map": {"AutoTokenizer": ["own.Tokenizer", None]}, "embedding_size": 8},
        {"auto_map": None},
    ],
)
def test_model_without_these_is_read(fields: dict[str, object], tmp_path: Path) -> None:
    assert read_config(configured(tmp_path, **fields))["hidden_size"] == 8
