"""What lies where a config's settings point: a digest of each, for a run is its content.

A path may be written in many ways, and the same base or file may lie elsewhere tomorrow. Runs over
the same content are the same run, whatever their settings call it.
"""

import hashlib
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

from lora_sweep.config.data import CONTENT
from lora_sweep.config.run import RunConfig, Settings, run_name, run_settings
from lora_sweep.execution.inputs import base_folder, load_corpus
from lora_sweep.execution.matching import matched
from lora_sweep.execution.starts import source_identities
from lora_sweep.models.base import base_fingerprint

_LENGTH = 16


def runs_of(config: RunConfig) -> dict[str, Settings]:
    """Returns name of the folder -> settings of a cell's runs, in order of seeds.

    Raises:
        LoraSweepError: as in `content_of`.
    """
    config = matched(config)
    content = content_of(config)
    seeds = range(config.seed, config.seed + config.n_seeds)
    all_settings = [run_settings(config, seed, content) for seed in seeds]
    return {run_name(settings): settings for settings in all_settings}


def content_of(config: RunConfig) -> dict[str, str]:
    """Returns the settings that stand for a cell's base, files and runs to start from.

    `model.content` always; `data.content` for a corpus in files; `model.adapter_content` and
    `init.content` for runs that it starts from. Each is the start of a SHA-256 (hex).

    Raises:
        LoraSweepError: something is not there, or can't be read.
    """
    content = {"model.content": base_fingerprint(base_folder(config))}
    if files := config.data.files():
        try:
            content[CONTENT] = content_digest(files)
        except OSError:
            load_corpus(config.data)  # it says in its own words what is missing
            raise
    for setting, found in source_identities(config).items():
        name = {"model.adapter": "model.adapter_content", "init.run": "init.content"}[setting]
        content[name] = found
    return {name: digest[:_LENGTH] for name, digest in content.items()}


def content_digest(files: Mapping[str, Path]) -> str:
    """Returns what stands for the content of a corpus's files in a run's settings.

    Args:
        files: by what they are.

    Raises:
        OSError: one can't be read.
    """
    digest = hashlib.sha256()
    for name, path in files.items():
        own = _digest(path.resolve(), path.stat().st_mtime_ns)
        digest.update(f"{name} {own}\n".encode())
    return digest.hexdigest()[:_LENGTH]


@lru_cache(maxsize=64)
def _digest(path: Path, written_at: int) -> str:
    """Of a file, read again once it was written again."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
