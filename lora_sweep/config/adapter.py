"""The settings of a run -> its kind of adapter, with the rules of both."""

from lora_sweep.adapters.kind import AdapterKind, make_kind
from lora_sweep.config.schema import KIND_SETTINGS, AdapterConfig
from lora_sweep.errors import SettingError


def adapter_kind(adapter: AdapterConfig) -> AdapterKind:
    """Returns the kind of adapter of a cell's runs.

    Args:
        adapter: the group of settings.

    Raises:
        SettingError: there is no such kind, or a setting breaks a rule of it.
    """
    settings = {name: getattr(adapter, name, None) for name in KIND_SETTINGS}
    try:
        return make_kind(adapter.kind, settings)
    except SettingError as error:
        raise SettingError(f"adapter.{error}".replace(" kind=", " adapter=")) from error
