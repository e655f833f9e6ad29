"""A base's config.json, and whether the model that it describes trains here."""

import json
from pathlib import Path
from typing import Any

from lora_sweep.errors import BaseModelError
from lora_sweep.models.families import family_of
from lora_sweep.models.parts import CONFIG


def read_config(folder: Path) -> dict[str, Any]:
    """Returns a base's config, with all that runs read of it.

    Raises:
        BaseModelError: it can't be read or lacks something; its family is not supported; or it is
            quantised, a decoder or a generator, without absolute positions, or has own code.
    """
    path = folder / CONFIG
    try:
        config = dict(json.loads(path.read_text(encoding="utf-8")))
        family = family_of(str(config["model_type"]))
        for name in (family.hidden_size, family.n_heads, "vocab_size"):
            int(config[name])
        for name in ("max_position_embeddings", "pad_token_id"):
            int(config.get(name) or 0)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BaseModelError(
            f"{path} must have model_type, its family's hidden_size and num_attention_heads, and "
            f"vocab_size, all sizes and ids as integers, but got {error!r}"
        ) from error
    fault = (
        _quantised(config)
        or _decoder(config)
        or _generator(config)
        or _positions(config)
        or _code(config)
    )
    if fault is not None:
        raise BaseModelError(f"the model in {folder} {fault}")
    return config


def _quantised(config: dict[str, Any]) -> str | None:
    if not config.get("quantization_config"):
        return None
    how = dict(config["quantization_config"]).get("quant_method", "an unknown method")
    return (
        f"must have weights as numbers, for its matrices are factorised, but got one quantised by "
        f"{how}: give the model that it was made from"
    )


def _decoder(config: dict[str, Any]) -> str | None:
    if not config.get("is_decoder"):
        return None
    return (
        "must be an encoder, whose tokens see each other, but got is_decoder=true in its config: "
        "a token sees those before it alone, so the first one sees nothing"
    )


def _generator(config: dict[str, Any]) -> str | None:
    width, d = config.get("embedding_size") or 0, config.get("hidden_size") or 0
    if width <= d:
        return None
    return (
        f"must have embeddings of at most its hidden size {d}, but got {width}, as ELECTRA's "
        "generators have: give the discriminator"
    )


def _positions(config: dict[str, Any]) -> str | None:
    kind = config.get("position_embedding_type") or "absolute"
    if kind == "absolute":
        return None
    return (
        f"must have absolute positions, but got position_embedding_type={kind}, which is not "
        "computed here"
    )


def _code(config: dict[str, Any]) -> str | None:
    if "AutoModel" not in (config.get("auto_map") or {}):
        return None
    return (
        "must be built by transformers itself, but its config wants code of its own (auto_map), "
        "which is never run"
    )
