"""The packs that are done: a line each at the end of a file, so that the list stays as it is.

    outputs/<sweep>/.packs/finished.txt    pack and checksum, `pack-000007 1f0c2a9b`

The list of a large sweep's packs has megabytes. A pack that is done is noted here instead, and
left out when the list is written the next time. A line that can't be read is skipped: its pack is
looked at once more, and found to be done.
"""

import os
import zlib
from pathlib import Path

from lora_sweep.files import opened, writing

FINISHED_FILE = "finished.txt"


class FinishedPacks:
    """The packs finished so far; every look reads only what came since the last one."""

    def __init__(self, folder: Path) -> None:
        """Names the folder of the packs; nothing need be there yet."""
        self.path = folder / FINISHED_FILE
        self._n_read = 0
        self._names: set[str] = set()

    def add(self, pack: str) -> None:
        """Notes that a pack is done; the caller holds the packs' lock.

        Raises:
            StorageError: it can't be written.
        """
        with writing(self.path), self.path.open("a", encoding="utf-8") as stream:
            stream.write(f"{pack} {_checksum(pack)}\n")

    def names(self) -> set[str]:
        """Returns the packs that are finished by now.

        Raises:
            DamagedFileError: what lies in the file's place is no file.
        """
        try:
            with opened(self.path) as stream:
                if os.fstat(stream.fileno()).st_size < self._n_read:  # it is another file
                    self._n_read, self._names = 0, set()
                stream.seek(self._n_read)
                whole, newline, _ = stream.read().rpartition(b"\n")
        except FileNotFoundError:
            return set()
        self._n_read += len(whole) + len(newline)
        for line in whole.decode("utf-8", errors="replace").splitlines():
            pack, _, checksum = line.partition(" ")
            if checksum == _checksum(pack):
                self._names.add(pack)
        return self._names


def _checksum(pack: str) -> str:
    return f"{zlib.crc32(pack.encode()):08x}"
