import subprocess
import sys

import pytest

import lora_sweep


def test_import_loads_nothing_heavy() -> None:
    code = (
        "import sys, lora_sweep; dir(lora_sweep); "
        "print(*{'torch', 'transformers', 'numpy'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


@pytest.mark.parametrize("name", lora_sweep.__all__)
def test_public_name_is_there_and_documented(name: str) -> None:
    value = getattr(lora_sweep, name)
    assert value.__name__ == name
    assert value.__module__.startswith(("lora_sweep.library.", "lora_sweep.report."))
    assert value.__doc__
    assert name in dir(lora_sweep)


def test_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'lora_sweep' has no attribute 'adapter'"):
        _ = lora_sweep.adapter
