"""What a run trained, as a run's folder and a `loraxs` export keep it: adapter, logits, head.

    loraxs/lora_sweep.json       origin, use and recipe: base, matrices, ranks, rank_max
    loraxs/adapter.safetensors   R/<matrix> (k, k) of each matrix, k its rank, and logits (N,);
                                 of other kinds theirs, see `AdapterKind.trained`
    loraxs/head.safetensors      head.dense.*, head.out.*

A and B are made anew from the base's matrices, by the settings. The base's fingerprint
says whether it is the right one.
"""

from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from lora_sweep.errors import DamagedFileError, RecordError
from lora_sweep.store.finished import FinishedRun
from lora_sweep.tensor_files import read_tensors, write_tensors
from lora_sweep.trained.about import About, about_run, read_about
from lora_sweep.training.parameters import LOGITS, Parameters, adapter_part, head_part
from lora_sweep.vocabulary import LORA_ALPHA

ADAPTER_FILE, HEAD_FILE = "adapter.safetensors", "head.safetensors"


@dataclass(frozen=True)
class TrainedAdapter:
    """A trained adapter with its head; the base is not in it.

    Attributes:
        about: its origin and use.
        parts: `PART/MATRIX` -> what was trained of the matrix, cut to its rank k: of LoRA-XS
            `R/MATRIX` (k, k), R's leading square; see `AdapterKind.trained`.
        logits: allocation logits (N,); None for a run without.
        head: `head.dense.weight` (d, d), `head.dense.bias` (d,), `head.out.weight` (n_labels, d),
            `head.out.bias` (n_labels,).
    """

    about: About
    parts: Parameters
    logits: Tensor | None
    head: Parameters

    @property
    def rank_max(self) -> int:
        """Rank that the adapter was trained at, R's size; 0 where nothing was adapted."""
        return int(self.about.settings["rank.max"] or 0)

    @property
    def lora_scale(self) -> float:
        """Factor on the update, s."""
        lora_alpha = self.about.settings.get("model.lora_alpha", LORA_ALPHA)
        return self.about.adapter.scale(float(lora_alpha), self.rank_max)

    @property
    def adapter_dropout(self) -> float:
        """Share of an adapter's inputs that its training dropped."""
        return float(self.about.settings.get("model.adapter_dropout", 0))


def adapter_of_run(run: FinishedRun) -> TrainedAdapter:
    """Returns what a run trained, with the discrete masks of its reported epoch."""
    about, state = about_run(run), run.state
    ranks = dict(zip(about.matrices, about.integer_ranks, strict=True))
    rank_max = int(about.settings["rank.max"] or 0)
    return TrainedAdapter(
        about=about,
        parts=about.adapter.trained(adapter_part(state), ranks, rank_max),
        logits=state.get(LOGITS),
        head=head_part(state),
    )


def write_adapter(folder: Path, adapter: TrainedAdapter) -> None:
    """Writes the tensors of a `loraxs` export.

    Raises:
        StorageError: they can't be written.
    """
    about = adapter.about
    tensors = dict(adapter.parts)
    if adapter.logits is not None:
        tensors[LOGITS] = adapter.logits
    of = {"fingerprint": about.fingerprint}
    write_tensors(folder / ADAPTER_FILE, tensors, of)
    write_tensors(folder / HEAD_FILE, adapter.head, of)


def read_adapter(folder: Path) -> TrainedAdapter:
    """Returns what a `loraxs` export holds.

    Raises:
        RecordError: something is missing, damaged, or of another export.
    """
    about = read_about(folder)
    tensors = _read(folder / ADAPTER_FILE, about)
    of_matrix = dict(zip(about.matrices, about.integer_ranks, strict=True))
    ranks = {f"{part}/{name}": k for part in about.adapter.parts for name, k in of_matrix.items()}
    try:
        parts = {name: tensors[name] for name in ranks}
    except KeyError as error:
        raise RecordError(f"{folder / ADAPTER_FILE} lacks {error}: export again") from error
    if any(rank not in parts[name].shape for name, rank in ranks.items()):
        raise RecordError(f"{folder / ADAPTER_FILE} must have the ranks of its export")
    return TrainedAdapter(about, parts, tensors.get(LOGITS), _read(folder / HEAD_FILE, about))


def _read(path: Path, about: About) -> Parameters:
    try:
        tensors, of = read_tensors(path)
    except DamagedFileError as error:
        raise RecordError(f"{error}: export the run again") from error
    if of.get("fingerprint") != about.fingerprint:
        raise RecordError(f"{path} must be of the run {about.run}, but got another's")
    return tensors
