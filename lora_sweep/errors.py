"""The package's exceptions: only those that a caller acts on."""


class LoraSweepError(Exception):
    """A fault that a user can mend: its message is shown without a traceback."""


class SettingError(LoraSweepError, ValueError):
    """A setting breaks a rule; the message names the setting, the rule and the value."""


class CorpusError(LoraSweepError, ValueError):
    """A data file or split can't be used; the message names file, line and column."""


class BaseModelError(LoraSweepError):
    """A base model is missing, unreachable or unusable; the message says what to do."""


class TrainingFailedError(LoraSweepError):
    """One run can't go on (a loss that is not finite); the message names step and settings."""


class PrunedError(LoraSweepError):
    """A run was ended before its time, because it promised too little."""


class RecordError(LoraSweepError):
    """A run folder's record can't be read, or is of another format version."""


class DamagedFileError(LoraSweepError):
    """A file of our own is not what was written: cut off, or with other bytes."""


class DamagedRecordError(RecordError, DamagedFileError):
    """A run folder's record is not what was written."""


class MisplacedRecordError(DamagedRecordError):
    """A run folder's record is another run's: the folder was copied, or two were swapped."""


class StorageError(LoraSweepError):
    """A file can't be written (no room, no permission): nothing can go on until it can."""


class ClaimedElsewhereError(LoraSweepError):
    """Another process trains the run just now."""


class WorkerDiedError(LoraSweepError):
    """A process that trained a pack is gone without a word.

    Attributes:
        remedy: what helps if it happens to the pack again.
    """

    def __init__(
        self,
        message: str,
        remedy: str = "where memory ran out, a smaller hydra.launcher.pack_size helps",
    ) -> None:
        """Takes how it ended, and what helps."""
        super().__init__(message)
        self.remedy = remedy


class WorkersAwayError(LoraSweepError):
    """No worker can be had just now: the cluster does not answer, or has no node left."""


class SweepFailedError(LoraSweepError):
    """Some runs of a sweep failed; the others are trained."""


class ReportError(LoraSweepError):
    """A report, or a part of it, can't be made; the runs that it is of are kept."""
