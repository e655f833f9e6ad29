"""What is known of a trained classifier: where it comes from, and what it is to be used with.

Every export holds it as `lora_sweep.json`, with a format version and a checksum.
"""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from glob import escape
from pathlib import Path
from typing import Any

from lora_sweep.adapters.factors.kinds import Recipe
from lora_sweep.adapters.kind import AdapterKind
from lora_sweep.config.data import recorded_data
from lora_sweep.config.run import identity
from lora_sweep.errors import DamagedFileError, RecordError
from lora_sweep.execution.recipes import recorded_kind, recorded_recipe
from lora_sweep.files import read_checked_json, to_checked_json, write_text
from lora_sweep.store.fields import check_fields
from lora_sweep.store.finished import FinishedRun
from lora_sweep.store.record import RESULT_FILE, check_version
from lora_sweep.store.run_folder import Settings
from lora_sweep.store.state import read_run
from lora_sweep.vocabulary import EXPORT_FILE, EXPORT_KINDS

FORMAT_VERSION = 1


@dataclass(frozen=True)
class About:
    """A classifier's origin and use.

    Attributes:
        kind: of an export, one of `EXPORT_KINDS`; `run` for a run's folder.
        run: name of the run's folder.
        settings: of the run.
        fingerprint, model_fingerprint, corpus_fingerprint: of run, base and corpus.
        metric: name of the headline metric.
        label_names: of class 0, 1, ...; empty for regression.
        matrices: names of the adapted matrices (N), in module order.
        integer_ranks: their ranks (N).
        epoch: whose state it is, 1 for the first.
        metrics: name -> value on the run's dev set at that epoch, 0 to 1; None for undefined.
        seeds: seed -> reported headline metric of all finished runs of the cell, this one too.
        versions: of the packages that the run was trained with.
    """

    kind: str
    run: str
    settings: dict[str, Any]
    fingerprint: str
    model_fingerprint: str
    corpus_fingerprint: str
    metric: str
    label_names: list[str]
    matrices: list[str]
    integer_ranks: list[int]
    epoch: int
    metrics: dict[str, float | None]
    seeds: dict[str, float]
    versions: dict[str, str]

    @property
    def is_regression(self) -> bool:
        """Whether it gives numbers, not classes."""
        return not self.label_names

    @property
    def n_labels(self) -> int:
        """Outputs of the head."""
        return len(self.label_names) or 1

    @property
    def columns(self) -> tuple[str, str | None, str]:
        """Columns of text, second text (None for single sentences) and label in its corpus."""
        return recorded_data(self.settings).columns

    @property
    def factors(self) -> Recipe:
        """Which frozen factors its adapted matrices have."""
        return recorded_recipe(self.settings)

    @property
    def adapter(self) -> AdapterKind:
        """Its kind of adapter."""
        return recorded_kind(self.settings)


def about_run(run: FinishedRun) -> About:
    """Returns what is known of a run."""
    record = run.record
    return About(
        kind="run",
        run=run.folder.resolve().name,
        settings=record.settings,
        fingerprint=record.fingerprint,
        model_fingerprint=record.model_fingerprint,
        corpus_fingerprint=record.corpus_fingerprint,
        metric=record.metric,
        label_names=record.label_names,
        matrices=record.matrices,
        integer_ranks=run.integer_ranks,
        epoch=record.reported_epoch,
        metrics=record.reported_evaluation.metrics,
        seeds=_cell_metrics(run),
        versions=record.versions,
    )


def write_about(folder: Path, about: About) -> None:
    """Writes `lora_sweep.json`.

    Raises:
        StorageError: it can't be written.
    """
    fields = {"format_version": FORMAT_VERSION, **dataclasses.asdict(about)}
    write_text(folder / EXPORT_FILE, to_checked_json(fields, indent=1))


def read_about(folder: Path) -> About:
    """Returns what an export's `lora_sweep.json` says.

    Raises:
        RecordError: it can't be read, was changed, or is of another version.
    """
    path = folder / EXPORT_FILE
    try:
        fields = read_checked_json(path)
        check_version(path, fields)
        about = About(**fields)
        check_fields(about)
    except (OSError, DamagedFileError, TypeError) as error:
        raise RecordError(f"{path} can't be read: {error}: export the run again") from error
    if about.kind not in EXPORT_KINDS:
        raise RecordError(
            f"{path} must be of kind {', '.join(EXPORT_KINDS)}, but got {about.kind!r}"
        )
    return about


def _cell_metrics(run: FinishedRun) -> dict[str, float]:
    """Seed -> reported metric of the cell's finished runs, as far as they lie beside this one.

    Runs of one cell have all settings but the seed in common, so their folders' names start alike.
    """
    own = run.record
    cell = _but_seed(own.settings)
    prefix = run.folder.resolve().name.rpartition("-seed")[0]
    metrics = {str(own.settings["seed"]): own.reported_metric}
    for folder in _alike(run.folder.resolve(), prefix):
        try:
            other = read_run(folder)
        except RecordError:  # its own report names it
            continue
        is_same_data = other.corpus_fingerprint == own.corpus_fingerprint
        if _but_seed(other.settings) == cell and is_same_data:
            metrics.setdefault(str(other.settings["seed"]), other.reported_metric)
    return dict(sorted(metrics.items(), key=lambda item: int(item[0])))


def _alike(folder: Path, prefix: str) -> Sequence[Path]:
    """The other finished runs beside a run whose names start with the prefix."""
    beside = sorted(folder.parent.glob(f"{escape(prefix)}-seed*/{RESULT_FILE}"))
    return [path.parent for path in beside if prefix and path.parent != folder]


def _but_seed(settings: Settings) -> Settings:
    return {name: value for name, value in identity(settings).items() if name != "seed"}
