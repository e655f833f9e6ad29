"""A job: one run to train, and with which others it can train."""

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from omegaconf import OmegaConf

from lora_sweep.config.run import RunConfig, Settings
from lora_sweep.errors import PrunedError, TrainingFailedError
from lora_sweep.execution.plans import run_plan
from lora_sweep.execution.recipes import recipe_of
from lora_sweep.execution.starts import read_sources
from lora_sweep.store.record import RunRecord
from lora_sweep.store.run_folder import RunFolder
from lora_sweep.store.state import State
from lora_sweep.training.plan import RunPlan
from lora_sweep.vocabulary import SPELLED

Outcome = RunRecord | Exception

_SHARED = (
    *("model.pooling", "model.dropout", "model.adapter_dropout", "model.adapted"),
    *("training.batch_size", "training.evaluation_batch_size", "training.epochs"),
    *("training.max_steps", "training.log_every", "device", "precision", "compile", "paths"),
)


@dataclass(frozen=True)
class Job:
    """One run to train.

    Attributes:
        config: of its cell.
        seed: which of the cell's runs it is.
        folder: where it is kept.
        settings: what can change its result.
        fingerprint, model_fingerprint, corpus_fingerprint: of run, base and corpus.
        sources: settings that name runs that it starts from -> identity of what those trained.
        command: that trains it, kept in its folder; None where the sweep's list has it.
        note: what the log says of it as it starts; None for nothing.
    """

    config: RunConfig
    seed: int
    folder: RunFolder
    settings: Settings
    fingerprint: str
    model_fingerprint: str
    corpus_fingerprint: str
    sources: Mapping[str, str] = field(default_factory=dict)
    command: str | None = None
    note: str | None = None

    @property
    def name(self) -> str:
        """Of its folder."""
        return self.folder.path.name

    @property
    def plan(self) -> RunPlan:
        """The numbers that it trains by, without ranks that come from the data."""
        return run_plan(self.config, self.seed, read_sources(self.config))

    @property
    def outcome(self) -> Outcome | None:
        """What became of the run, as its folder says; None for one that is to be trained."""
        ended = self.folder.ended(self.fingerprint)
        if ended is None:
            return None
        if ended.record is not None:
            return ended.record
        kind = PrunedError if ended.state is State.PRUNED else TrainingFailedError
        return kind(f"{self.name}: {ended.reason}")

    def config_yaml(self) -> str:
        """Returns the resolved config of the run, as a command would state it."""
        own = dataclasses.asdict(dataclasses.replace(self.config, seed=self.seed, n_seeds=1))
        return OmegaConf.to_yaml(OmegaConf.create(own))


def compatibility(job: Job) -> str:
    """Returns a key that is the same for runs that can train in one pack."""
    fields: Any = dataclasses.asdict(job.config)
    data = {name: own for name, own in fields["data"].items() if f"data.{name}" not in SPELLED}
    parts: list[Any] = [job.model_fingerprint, job.corpus_fingerprint, data]
    for name in _SHARED:
        group, _, field = name.partition(".")
        parts.append(fields[group][field] if field else fields[group])
    # They share the factors: those that don't nest have one rank.
    recipe, kind = recipe_of(job.config), job.config.adapter_kind()
    parts += [recipe.label, None if recipe.nest and kind.nests else job.config.rank.max]
    parts += [kind.name, dataclasses.asdict(kind)]
    return json.dumps(parts)
