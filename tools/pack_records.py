"""Packs the records of a sweep's finished runs, without what they trained, into one archive.

    python tools/pack_records.py outputs/SWEEP records.tar.xz [data.path=PATH/TO/DATA ...]

A record is a hundredth of a trained state. Unpacked into `outputs/`, the sweep is reported as
before, and its command goes on: it trains the runs that are missing.
"""

import argparse
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from io import BytesIO
from pathlib import Path

from lora_sweep.store.record import RESULT_FILE
from lora_sweep.store.run_folder import HISTORY_FILE, PREDICTIONS_FILE
from lora_sweep.store.state import is_finished, read_run


def pack_records(sweep_dir: Path, archive: Path, instead: Mapping[str, str]) -> int:
    """Writes the archive, and returns how many runs it holds.

    Args:
        sweep_dir: folder of the sweep.
        archive: to be written, `.tar.xz`.
        instead: settings that are not to be published, with what is written in their place. Only
            those that say where something lies, not what it is.

    Raises:
        RecordError: a run's record is damaged.
    """
    folders = [folder for folder in sorted(sweep_dir.iterdir()) if is_finished(folder)]
    with tarfile.open(archive, "w:xz") as packed:
        for folder in folders:
            _add(packed, f"{sweep_dir.name}/{folder.name}/{RESULT_FILE}", _record(folder, instead))
            for name in (HISTORY_FILE, PREDICTIONS_FILE):
                content = (folder / name).read_bytes()
                _add(packed, f"{sweep_dir.name}/{folder.name}/{name}", content)
    return len(folders)


def _record(folder: Path, instead: Mapping[str, str]) -> bytes:
    """The run's record, which answers for the predictions alone: no state lies beside it."""
    record = read_run(folder)
    files = {PREDICTIONS_FILE: record.files[PREDICTIONS_FILE]}
    settings = record.settings | {n: v for n, v in instead.items() if n in record.settings}
    return replace(record, settings=settings, files=files).to_json().encode()


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
