"""The trained parameters of a pack: one tensor (K, P), and named views with the run axis first.

    R                   (K, N, r, r)    latent matrices, N(0, 1e-5^2) in the leading rank_max block
    logits              (K, N)          allocation logits, from the init schedule
    head.dense.weight   (K, d, d)       the head, as RoBERTa's: N(0, 0.02^2), biases 0
    head.dense.bias     (K, d)
    head.out.weight     (K, n_labels, d)
    head.out.bias       (K, n_labels)

Every run draws from its own streams, so a row does not depend on the other runs. Row k of the one
tensor is all that run k trains, so clipping and the optimiser take the same few calls whatever K.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from lora_sweep.allocation.init_schedules import InitInputs, starting_logits
from lora_sweep.training.plan import RunPlan
from lora_sweep.training.seeds import stream_generator
from lora_sweep.vocabulary import HEAD, HEAD_DENSE, HEAD_OUT

Parameters = dict[str, Tensor]

LATENT, LOGITS = "R", "logits"
LATENT_STD = 1e-5
HEAD_STD = 0.02


class ParameterBank:
    """All that K runs train.

    Attributes:
        values: (K, P).
        named: name -> view (K, ...) of the values, a leaf of the computation.
    """

    def __init__(self, start: Parameters) -> None:
        """Copies starting values, name -> (K, ...)."""
        self._shapes = {name: part.shape[1:] for name, part in start.items()}
        self.load(torch.cat([part.flatten(1) for part in start.values()], dim=1))

    def columns(self) -> dict[str, slice]:
        """Returns name -> its columns of `values`, in order."""
        columns, stop = {}, 0
        for name, shape in self._shapes.items():
            start, stop = stop, stop + shape.numel()
            columns[name] = slice(start, stop)
        return columns

    def split(self, values: Tensor) -> Parameters:
        """Returns name -> view (K, ...) of a tensor (K, P) that is laid out as the values are."""
        return {
            name: values[:, columns].view(len(values), *self._shapes[name])
            for name, columns in self.columns().items()
        }

    def gradient(self, loss: Tensor) -> Tensor:
        """Returns the gradient (K, P) of a loss (); zero in what it does not depend on."""
        parts = torch.autograd.grad(loss, list(self.named.values()), materialize_grads=True)
        return torch.cat([part.flatten(1) for part in parts], dim=1)

    def keep(self, rows: Tensor) -> None:
        """Drops all runs but those rows."""
        self.load(self.values[rows])

    def load(self, values: Tensor) -> None:
        """Takes other values (K, P)."""
        self.values = values
        self.named: Parameters = {
            name: part.detach().requires_grad_() for name, part in self.split(values).items()
        }


def head_part(state: Parameters) -> Parameters:
    """Returns the head's parameters among a run's, `head.*`.

    Args:
        state: name -> values, as a run leaves them.
    """
    return {name: part for name, part in state.items() if name.startswith(HEAD)}


def start_parameters(
    plans: Sequence[RunPlan],
    *,
    spectra: Tensor,
    r: int,
    d: int,
    n_labels: int,
    device: torch.device,
) -> Parameters:
    """Returns the starting values of a pack's parameters, name -> (K, ...).

    Args:
        plans: one a run (K).
        spectra: leading singular values of every adapted matrix (N, r), largest first.
        r: size of R, at least every plan's rank_max.
        d: hidden size of the encoder.
        n_labels: outputs of the head.
        device: where the pack trains.

    Raises:
        ValueError: a plan starts from an R or a head of another shape.

    Source: LoRA-XS (R), transformers' RoBERTa classification head (head).
    """
    rows = [
        {
            LATENT: _latent(plan, len(spectra), r),
            LOGITS: _logits(plan, spectra),
            **_head(plan, d, n_labels),
        }
        for plan in plans
    ]
    return {name: torch.stack([row[name] for row in rows]).to(device) for name in rows[0]}


def run_state(parameters: Parameters, row: int, plan: RunPlan) -> Parameters:
    """Returns the trained state of one run: R (N, rank_max, rank_max), logits and head, on CPU.

    The logits are left out where ranks are fixed: nothing trained them.
    """
    state = {name: bank.detach()[row].cpu() for name, bank in parameters.items()}
    state[LATENT] = state[LATENT][:, : plan.rank_max, : plan.rank_max]
    if not plan.allocation.has_logits:
        del state[LOGITS]
    return {name: values.clone() for name, values in state.items()}


def count_trained(plan: RunPlan, *, n_matrices: int, d: int, n_labels: int) -> dict[str, int]:
    """Returns how many parameters a run trains, by part; R counts as stored, at rank_max."""
    latent = n_matrices * plan.rank_max**2
    head = d * d + d + n_labels * d + n_labels
    logits = n_matrices if plan.allocation.has_logits else 0
    return {"latent": latent, "head": head, "logits": logits, "total": latent + head + logits}


def _latent(plan: RunPlan, n_matrices: int, r: int) -> Tensor:
    shape = n_matrices, plan.rank_max, plan.rank_max
    if plan.start is None:
        block = LATENT_STD * torch.randn(*shape, generator=stream_generator(plan.seed, "latent"))
    else:
        block = plan.start.latent
        _check_shape("R", block, shape)
    bank = torch.zeros(n_matrices, r, r)
    bank[:, : plan.rank_max, : plan.rank_max] = block
    return bank


def _logits(plan: RunPlan, spectra: Tensor) -> Tensor:
    if not plan.allocation.has_logits:
        return torch.zeros(len(spectra))
    inputs = InitInputs(
        spectra=spectra[:, : plan.rank_max].cpu(),
        generator=stream_generator(plan.seed, "logits"),
        values=plan.allocation.init_values,
    )
    return starting_logits(plan.allocation.init, inputs).float()


def _head(plan: RunPlan, d: int, n_labels: int) -> Parameters:
    if plan.start is not None and plan.start.head is not None:
        _check_shape(f"{HEAD_OUT}.weight", plan.start.head[f"{HEAD_OUT}.weight"], (n_labels, d))
        return plan.start.head
    generator = stream_generator(plan.seed, "head")
    return {
        f"{HEAD_DENSE}.weight": HEAD_STD * torch.randn(d, d, generator=generator),
        f"{HEAD_DENSE}.bias": torch.zeros(d),
        f"{HEAD_OUT}.weight": HEAD_STD * torch.randn(n_labels, d, generator=generator),
        f"{HEAD_OUT}.bias": torch.zeros(n_labels),
    }


def _check_shape(name: str, values: Tensor, shape: tuple[int, ...]) -> None:
    if values.shape != shape:
        raise ValueError(f"{name} must start with shape {shape}, but got {tuple(values.shape)}")
