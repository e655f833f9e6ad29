"""What a search's preset and command line come to: what is searched, and what is fixed."""

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from lora_sweep.errors import SettingError
from lora_sweep.search.overrides import split_overrides

PRESET = {"rank.min": "interval(1,5)", "rank.max": "interval(6,9)", "lr": "interval(0.1,0.2)"}


def split(*typed: str) -> tuple[list[str], list[str]]:
    """Names of what is searched, and what is fixed."""
    searched, fixed = split_overrides(OverridesParser.create(), PRESET, typed)
    return list(searched), fixed


@pytest.mark.parametrize(
    ("typed", "searched"),
    [
        ([], ["rank.min", "rank.max", "lr"]),
        (["rank.min=2"], ["rank.max", "lr"]),
        (["rank=fixed_2"], ["lr"]),
        (["rank=fixed_2,fixed_4"], ["lr", "rank"]),
        (["rank=fixed_2", "rank.max=interval(6,7)"], ["lr", "rank.max"]),
        (["rank.max=interval(6,7)", "rank=fixed_2"], ["lr", "rank.max"]),
        (["ran=x"], ["rank.min", "rank.max", "lr"]),
    ],
    ids=" ".join,
)
def test_typed_group_or_setting_takes_the_presets_place(
    typed: list[str], searched: list[str]
) -> None:
    found, fixed = split(*typed)
    assert found == searched
    assert fixed == [one for one in typed if one.partition("=")[0] not in searched]


@pytest.mark.parametrize("typed", ["seed=0,1,2", "n_seeds=1,2", "seed=range(3)"])
def test_seeds_are_no_settings_to_search(typed: str) -> None:
    name = typed.partition("=")[0]
    with pytest.raises(SettingError, match=rf"^{name} must be one number in a search .* but got"):
        split(typed)
    assert split(f"{name}=2")[1] == [f"{name}=2"]
