"""Packs the records of a sweep's finished runs, without what they trained, into one archive.

    python tools/pack_records.py outputs/SWEEP records.tar.xz [data.path=PATH/TO/DATA ...]

A record is a hundredth of a trained state. Unpacked into `outputs/`, the sweep is reported as
before, and its command goes on: it trains the runs that are missing.
"""

import argparse
import shlex
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory

from omegaconf import OmegaConf

from lora_sweep.errors import LoraSweepError
from lora_sweep.store.record import RESULT_FILE
from lora_sweep.store.run_folder import (
    CONFIG_FILE,
    HISTORY_FILE,
    LOG_FILE,
    PREDICTIONS_FILE,
    Settings,
)
from lora_sweep.store.state import is_finished, read_run
from lora_sweep.store.sweep_list import SWEEP_FILE, add_to_sweep, read_asked, read_commands

AS_THEY_ARE = (HISTORY_FILE, PREDICTIONS_FILE, LOG_FILE)


def pack_records(sweep_dir: Path, archive: Path, instead: Mapping[str, str]) -> int:
    """Writes the archive, and returns how many runs it holds.

    Args:
        sweep_dir: folder of the sweep.
        archive: to be written, `.tar.xz`.
        instead: settings that are not to be published, with what is written in their place. Only
            those that say where something lies, not what it is.

    Raises:
        LoraSweepError: no command is listed in the sweep.
        RecordError: its list, or a run's record, is damaged.
    """
    folders = [folder for folder in sorted(sweep_dir.iterdir()) if is_finished(folder)]
    contents = {SWEEP_FILE: _sweep_list(sweep_dir, instead)}
    for folder in folders:
        own = {RESULT_FILE: _record(folder, instead), CONFIG_FILE: _config(folder, instead)}
        own |= {name: (folder / name).read_bytes() for name in AS_THEY_ARE}
        contents |= {f"{folder.name}/{name}": content for name, content in own.items()}
    with tarfile.open(archive, "w:xz") as packed:
        for name, content in contents.items():
            _add(packed, f"{sweep_dir.name}/{name}", content)
    return len(folders)


def _sweep_list(sweep_dir: Path, instead: Mapping[str, str]) -> bytes:
    """The list of the runs that the sweep's last command asked for."""
    asked = read_asked(sweep_dir)
    if asked is None:
        raise LoraSweepError(f"{sweep_dir} must hold {SWEEP_FILE} with a command, but got none")
    words = []
    for word in shlex.split(read_commands(sweep_dir)[-1]):
        name = word.partition("=")[0]
        words.append(f"{name}={instead[name]}" if name in instead else word)
    runs = {run: _replaced(settings, instead) for run, settings in asked.items()}
    with TemporaryDirectory() as folder:
        add_to_sweep(Path(folder), runs, shlex.join(words))
        return Path(folder, SWEEP_FILE).read_bytes()


def _record(folder: Path, instead: Mapping[str, str]) -> bytes:
    """The run's record, which answers for the predictions alone: no state lies beside it."""
    record = read_run(folder)
    files = {PREDICTIONS_FILE: record.files[PREDICTIONS_FILE]}
    settings = _replaced(record.settings, instead)
    return replace(record, settings=settings, files=files).to_json().encode()


def _config(folder: Path, instead: Mapping[str, str]) -> bytes:
    config = OmegaConf.load(folder / CONFIG_FILE)
    for name, value in instead.items():
        if OmegaConf.select(config, name) is not None:
            OmegaConf.update(config, name, value)
    return OmegaConf.to_yaml(config).encode()


def _replaced(settings: Settings, instead: Mapping[str, str]) -> Settings:
    return settings | {name: value for name, value in instead.items() if name in settings}


def _add(packed: tarfile.TarFile, name: str, content: bytes) -> None:
    """Adds a file that says nothing of the machine that it comes from."""
    about = tarfile.TarInfo(name)
    about.size = len(content)
    packed.addfile(about, BytesIO(content))


def main(arguments: Sequence[str] | None = None) -> None:
    """Packs a sweep's records.

    Args:
        arguments: of the command line; None for those of this process.
    """
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("sweep", type=Path, help="folder of the sweep")
    parser.add_argument("archive", type=Path, help="to be written: NAME.tar.xz")
    parser.add_argument(
        "instead", nargs="*", metavar="SETTING=VALUE", help="written instead of a place's setting"
    )
    given = parser.parse_args(arguments)
    instead = dict(one.split("=", 1) for one in given.instead)
    n_runs = pack_records(given.sweep, given.archive, instead)
    print(f"{n_runs} runs -> {given.archive}, {given.archive.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
