"""The registry of data sources: who is known by which settings."""

import dataclasses

import pytest

from lora_sweep.config.data import DATA_SOURCES, DataConfig, data_source, recorded_data
from lora_sweep.errors import SettingError

SETTINGS = {"data.task": "t", "data.max_length": 64, "data.selection_fraction": 0.0}


@dataclasses.dataclass(unsafe_hash=True)
class PlainConfig(DataConfig):
    """A source with the settings that all have, as GLUE's."""


@pytest.mark.parametrize("name", ["sst2", "mine", "files"])
def test_option_of_another_name_is_known_by_its_settings(name: str) -> None:
    assert type(recorded_data({**SETTINGS, "data.name": name})) is DATA_SOURCES["glue"]


def test_option_of_a_sources_name_is_of_that_source(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(DATA_SOURCES, "plain", DataConfig)  # so that it is gone after the test
    data_source("plain")(PlainConfig)
    assert type(recorded_data({**SETTINGS, "data.name": "plain"})) is PlainConfig
    assert type(recorded_data({**SETTINGS, "data.name": "sst2"})) is DATA_SOURCES["glue"]


def test_settings_of_no_source_are_refused() -> None:
    with pytest.raises(SettingError, match=r"of a source that is known, but got colour, max_"):
        recorded_data({**SETTINGS, "data.colour": "red"})
