"""Which job of a cluster's queue has which pack, so that a later command finds it.

    outputs/<sweep>/.packs/pack-000007.job    the job's id, in the queue's own words: 12_3

A file a pack: two commands that hand out different packs never write the same one.
"""

from pathlib import Path

from lora_sweep.files import read_text, write_text, writing
from lora_sweep.store.run_folder import PACKS

JOB = ".job"


class PackJobs:
    """The jobs of one sweep's packs."""

    def __init__(self, sweep_dir: Path) -> None:
        """Names the sweep's folder; nothing need be there yet."""
        self.folder = sweep_dir / PACKS

    def note(self, pack: str, job: str) -> None:
        """Notes that a job was queued for a pack.

        Raises:
            StorageError: it can't be written.
        """
        with writing(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
        write_text(self.folder / f"{pack}{JOB}", job)

    def job(self, pack: str) -> str | None:
        """Returns the job that was queued for a pack last; None for none.

        Raises:
            DamagedFileError: what is there is no text file.
        """
        try:
            return read_text(self.folder / f"{pack}{JOB}").strip() or None
        except FileNotFoundError:
            return None

    def forget(self, pack: str) -> None:
        """Removes the note: the job has ended."""
        (self.folder / f"{pack}{JOB}").unlink(missing_ok=True)

    def all(self) -> dict[str, str]:
        """Returns all that is noted, pack -> job."""
        packs = sorted(path.stem for path in self.folder.glob(f"*{JOB}"))
        return {pack: job for pack in packs if (job := self.job(pack)) is not None}
