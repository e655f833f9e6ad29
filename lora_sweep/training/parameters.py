"""The trained parameters of a pack: one tensor (K, P), and named views with the run axis first.

    R                   (K, N, r, r)    latent matrices of LoRA-XS; other kinds of adapters train
                                        others (see `adapters.kind`), zero beyond rank_max
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

from lora_sweep.adapters.kind import Shapes
from lora_sweep.allocation.init_schedules import InitInputs, starting_logits
from lora_sweep.training.costs import rank_costs
from lora_sweep.training.plan import RunPlan
from lora_sweep.training.seeds import stream_generator
from lora_sweep.vocabulary import HEAD, HEAD_DENSE, HEAD_OUT

Parameters = dict[str, Tensor]

LOGITS = "logits"
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


def adapter_part(state: Parameters) -> Parameters:
    """Returns what a run's kind of adapter trains: all but logits and head.

    Args:
        state: name -> values, as a run leaves them.
    """
    return {n: part for n, part in state.items() if n != LOGITS and not n.startswith(HEAD)}


def own_values(plan: RunPlan, name: str, values: Tensor) -> Tensor:
    """Returns the view of a run's parameter that is its own, without a larger rank's padding.

    Args:
        plan: of the run.
        name: of the parameter.
        values: as the pack stores them for the run.
    """
    is_of_adapter = name != LOGITS and not name.startswith(HEAD)
    return plan.adapter.own(name, values, plan.rank_max) if is_of_adapter else values


def start_parameters(
    plans: Sequence[RunPlan],
    *,
    shapes: Shapes,
    spectra: Tensor | None,
    r: int,
    d: int,
    n_labels: int,
) -> Parameters:
    """Returns the starting values of a pack's parameters, name -> (K, ...), on the CPU.

    Args:
        plans: one a run (K).
        shapes: of the adapted matrices (N).
        spectra: their leading singular values (N, r), largest first; None where no run has logits.
        r: rank that the adapters are stored at, at least every plan's rank_max.
        d: hidden size of the encoder.
        n_labels: outputs of the head.

    Raises:
        ValueError: a plan starts from an adapter or a head of another shape.

    Source: the kind of adapter; transformers' RoBERTa classification head (head).
    """
    rows = [
        {
            **_adapter(plan, shapes, r),
            LOGITS: _logits(plan, len(shapes), spectra),
            **_head(plan, d, n_labels),
        }
        for plan in plans
    ]
    return {name: torch.stack([row[name] for row in rows]) for name in rows[0]}


def run_state(parameters: Parameters, row: int, plan: RunPlan) -> Parameters:
    """Returns the trained state of one run: adapter (at rank_max), logits and head, on CPU.

    The logits are left out where ranks are fixed: nothing trained them.
    """
    rows = {name: bank.detach()[row].cpu() for name, bank in parameters.items()}
    state = {name: own_values(plan, name, values) for name, values in rows.items()}
    if not plan.allocation.has_logits:
        del state[LOGITS]
    return {name: values.clone() for name, values in state.items()}


def count_trained(plan: RunPlan, *, shapes: Shapes, d: int, n_labels: int) -> dict[str, int]:
    """Returns how many parameters a run trains, by part.

    Of fixed ranks those within the ranks, for the mask hides the others throughout; else an
    adapter counts as it is stored.
    """
    kind, own = plan.adapter, plan.allocation
    if own.has_fixed_ranks and kind.learns_ranks:
        adapter = rank_costs(kind, shapes).spent(own.fixed_ranks(len(shapes)))
    else:
        adapter = kind.n_params(plan.rank_max, shapes)
    head = d * d + d + n_labels * d + n_labels
    logits = len(shapes) if plan.allocation.has_logits else 0
    return {"adapter": adapter, "head": head, "logits": logits, "total": adapter + head + logits}


def _adapter(plan: RunPlan, shapes: Shapes, r: int) -> Parameters:
    """What the adapter trains, in its place among zeros."""
    kind, rank_max = plan.adapter, plan.rank_max
    if plan.start is None:
        start = kind.start(rank_max, shapes, stream_generator(plan.seed, "latent"))
    else:
        start = plan.start.adapter
        for name, shape in kind.parameter_shapes(rank_max, shapes).items():
            _check_shape(name, start[name], shape)
    bank = {name: torch.zeros(shape) for name, shape in kind.parameter_shapes(r, shapes).items()}
    for name, values in bank.items():
        kind.own(name, values, rank_max).copy_(start[name])
    return bank


def _logits(plan: RunPlan, n_matrices: int, spectra: Tensor | None) -> Tensor:
    if not plan.allocation.has_logits:
        return torch.zeros(n_matrices)
    assert spectra is not None, "runs with logits need the matrices' spectra"
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
