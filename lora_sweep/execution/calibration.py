"""A run's calibration: its scores, from the cache where they are known, and its ranks.

Scores depend on base, head and texts alone. So all runs with the same of them share one file in
the cache, which is named after their content; ranks are made of the scores for each run's budget.
"""

import hashlib
import json
import logging
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from lora_sweep.adapters.kind import Shapes
from lora_sweep.allocation.calibration import CALIBRATIONS
from lora_sweep.allocation.costs import RankBudget
from lora_sweep.config.run import RunConfig
from lora_sweep.execution.origin import device_name
from lora_sweep.store.calibration import CalibrationRecord
from lora_sweep.tensor_files import kept_tensors
from lora_sweep.training.calibration import Calibrator, draw_batches
from lora_sweep.training.costs import rank_costs
from lora_sweep.training.encoder import AdaptedEncoder
from lora_sweep.training.pack import PackTexts
from lora_sweep.training.parameters import head_part, start_parameters
from lora_sweep.training.plan import RunPlan
from lora_sweep.words import counted

log = logging.getLogger(__name__)

FORMAT_VERSION = 1


@dataclass(frozen=True)
class Measured:
    """What is measured.

    Attributes:
        encoder: the base.
        texts: the corpus.
        model_fingerprint: of the base.
        device: that computes.
    """

    encoder: AdaptedEncoder
    texts: PackTexts
    model_fingerprint: str
    device: torch.device


def calibrate(config: RunConfig, plan: RunPlan, measured: Measured) -> CalibrationRecord:
    """Returns the scores and the ranks of a run whose ranks come from the data.

    Args:
        config: of its cell, which calibrates.
        plan: of the run, as it is without them.
        measured: base and texts.

    Raises:
        SettingError: a score is not finite.
        StorageError: the scores can't be written.
    """
    calibration, n_batches = CALIBRATIONS[config.init.name], config.init.batches
    assert n_batches is not None, "every calibration has a number of batches"
    calibrator = _calibrator(plan, measured, n_batches, config.training.batch_size)
    name = f"{_key(config.init.name, calibrator, measured)}.safetensors"
    path = Path(config.paths.cache, "calibrations", name)

    def make() -> dict[str, Tensor]:
        n_texts = counted(sum(batch.labels.numel() for batch in calibrator.batches), "text")
        log.info("init=%s measures %s, drawn by seed %d", config.init.name, n_texts, plan.seed)
        eager = torch.compiler.set_stance("force_eager") if config.compile else nullcontext()
        with eager:
            return {"scores": calibration.scores(calibrator.inputs)}

    scores = kept_tensors(path, make, consequence="the scores are measured anew")["scores"]
    return CalibrationRecord(
        scores=scores.tolist(),
        ranks=calibration.ranks(scores, _budget(config, measured.encoder.shapes)),
    )


def _budget(config: RunConfig, shapes: Shapes) -> RankBudget:
    """That of the training's end; frozen ranks have the average's, for nothing moves it."""
    plan = config.allocation_plan()
    average = plan.rank_average if config.init.freeze else plan.budget_averages[1]
    costs = rank_costs(config.adapter_kind(), shapes)
    params = costs.budget(average, len(shapes))
    return RankBudget(params, plan.rank_min, plan.rank_max, costs)


def _calibrator(plan: RunPlan, measured: Measured, n_batches: int, batch_size: int) -> Calibrator:
    encoder, train, rank_max = measured.encoder, measured.texts.train, plan.rank_max
    uniform = replace(plan, allocation=replace(plan.allocation, init="uniform"))
    start = start_parameters(
        [uniform],
        shapes=encoder.shapes,
        spectra=encoder.spectra(rank_max),
        r=rank_max,
        d=encoder.d,
        n_labels=measured.texts.n_labels,
    )
    head = {name: part.to(measured.device) for name, part in head_part(start).items()}
    drawn = draw_batches(len(train), plan.seed, n_batches=n_batches, batch_size=batch_size)
    batches = [encoder.batch(train, index[None]) for index in drawn]
    return Calibrator(encoder, head, batches, rank_max)


def _key(name: str, calibrator: Calibrator, measured: Measured) -> str:
    """SHA-256 of all that the scores depend on."""
    encoder = calibrator.encoder
    about = [
        *(FORMAT_VERSION, torch.__version__, name, calibrator.rank_max),
        *(measured.model_fingerprint, list(encoder.layers), encoder.pooling, str(encoder.dtype)),
        *(device_name(measured.device), measured.texts.is_regression),
    ]
    digest = hashlib.sha256(json.dumps(about).encode())
    tensors = list(calibrator.head.values())
    for batch in calibrator.batches:
        tensors += [batch.input_ids, batch.is_real, batch.labels]
        tensors += [] if batch.token_type_ids is None else [batch.token_type_ids]
    for part in tensors:
        digest.update(json.dumps([str(part.dtype), list(part.shape)]).encode())
        digest.update(part.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
