"""Memory that is freed and taken again; in a Python of its own, for it stays as it is set."""

import platform
import subprocess
import sys

import pytest

CODE = """
import resource
from lora_sweep.execution.freed_memory import keep_freed_memory

def pages_of_second_block():
    bytearray(2**25)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    bytearray(2**25)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

print(pages_of_second_block())
keep_freed_memory()
print(pages_of_second_block())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library than glibc")
def test_freed_memory_is_taken_again_without_a_page_fault() -> None:
    lines = subprocess.run(
        [sys.executable, "-c", CODE], check=True, capture_output=True, text=True
    ).stdout.splitlines()
    before, after = map(int, lines)
    assert before >= 8  # a fault for each page, of 4 KB or of 4 MB at most
    assert after < before / 4
