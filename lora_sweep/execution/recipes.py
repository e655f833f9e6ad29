"""Which frozen factors a run has, by its config or by what its record says."""

from collections.abc import Mapping
from typing import Any

from lora_sweep.adapters.factors.kinds import Recipe
from lora_sweep.config.run import RunConfig
from lora_sweep.vocabulary import EXACT


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
