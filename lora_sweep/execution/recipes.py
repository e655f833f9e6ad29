"""Which frozen factors and which kind of adapter a run has, by its config or its record."""

from collections.abc import Mapping
from typing import Any

from lora_sweep.adapters.factors.kinds import Recipe
from lora_sweep.adapters.kind import AdapterKind, make_kind
from lora_sweep.config.run import RunConfig
from lora_sweep.vocabulary import EXACT, LORA_XS


def recipe_of(config: RunConfig) -> Recipe:
    """Returns the recipe of a cell's factors."""
    return Recipe(config.model.factors, config.model.factors_seed)


def recorded_recipe(settings: Mapping[str, Any]) -> Recipe:
    """Returns the recipe of a run's factors; settings that name no kind have the exact ones.

    Args:
        settings: as its record has them.
    """
    kind = settings.get("model.factors", EXACT)
    return Recipe(kind, settings.get("model.factors_seed"))


def recorded_kind(settings: Mapping[str, Any]) -> AdapterKind:
    """Returns a run's kind of adapter; settings that name none have LoRA-XS.

    Args:
        settings: as its record has them.
    """
    of = "adapter."
    own = {name.removeprefix(of): v for name, v in settings.items() if name.startswith(of)}
    return make_kind(own.pop("kind", LORA_XS), own)
