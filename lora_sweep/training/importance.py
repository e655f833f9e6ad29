"""A pack's runs whose ranks follow the importance of what they train: what they keep of steps."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from lora_sweep.adapters.kind import Shapes
from lora_sweep.allocation.importance import cut_ranks, smooth_importance
from lora_sweep.training.costs import rank_costs
from lora_sweep.training.plan import RunPlan

_SENSITIVITY, _UNCERTAINTY, _RANKS = "sensitivity/", "uncertainty/", "ranks"


class PackImportance:
    """Averages and ranks of those of a pack's K runs that are cut: K' of them.

    Attributes:
        ranks: row in the pack -> integer ranks (N) of its run.
        rows, as_cut: the same on the device, rows (K',) and ranks (K', N).
        sensitivity, uncertainty: name of an adapter's parameter -> moving averages (K', ...), run
            after run; of LoRA-XS's R, (K', N, r, r).
    """

    def __init__(
        self, plans: Sequence[RunPlan], shapes: Shapes, *, r: int, device: torch.device
    ) -> None:
        """Starts at rank_max, with averages of 0.

        Args:
            plans: of all runs of the pack, with adapters of one kind.
            shapes: of the adapted matrices (N).
            r: rank that the adapters are stored at.
            device: where they are.
        """
        self.device, self.kind = device, plans[0].adapter
        self.costs = rank_costs(self.kind, shapes)
        self.ranks = {
            row: [plan.rank_max] * len(shapes)
            for row, plan in enumerate(plans)
            if plan.allocation.importance is not None
        }
        stored = self.kind.parameter_shapes(r, shapes) if self.ranks else {}
        self.sensitivity = {
            name: torch.zeros(len(self.ranks), *shape, device=device)
            for name, shape in stored.items()
        }
        self.uncertainty = {name: torch.zeros_like(one) for name, one in self.sensitivity.items()}
        self._take(plans)

    def __bool__(self) -> bool:
        """Whether any run is cut."""
        return bool(self.ranks)

    def keep(self, rows: Sequence[int]) -> None:
        """Drops all runs but those rows of the pack."""
        places = list(self.ranks)
        index = [places.index(row) for row in rows if row in self.ranks]
        self.sensitivity = {name: own[index] for name, own in self.sensitivity.items()}
        self.uncertainty = {name: own[index] for name, own in self.uncertainty.items()}
        self.ranks = {new: self.ranks[old] for new, old in enumerate(rows) if old in self.ranks}
        self._take([self._plans[row] for row in rows])

    @torch.no_grad()
    def observe(
        self,
        parameters: Mapping[str, Tensor],
        gradients: Mapping[str, Tensor],
        before: Sequence[float],
        after: Sequence[float],
    ) -> None:
        """Takes in a step, and cuts the ranks of the runs whose budget falls with it.

        Args:
            parameters: what the step was taken with, name -> values (K, ...).
            gradients: of the runs' losses with respect to them, not clipped.
            before: rank budget of every run before the step (K).
            after: rank budget of every run after it (K).
        """
        for name, sensitivity in self.sensitivity.items():
            latest = (parameters[name][self.rows] * gradients[name][self.rows]).abs()  # (K', ...)
            smooth_importance(
                sensitivity,
                self.uncertainty[name],
                latest,
                beta1=self._beta1,
                beta2=self._beta2,
            )
        falling = [row for row in self.ranks if after[row] < before[row]]
        for place, row in enumerate(self.ranks):
            if row in falling:
                self.ranks[row] = cut_ranks(
                    self.ranks[row],
                    self._scores(place).tolist(),
                    after[row],
                    rank_min=self._plans[row].allocation.rank_min,
                    costs=self.costs,
                )
        if falling:
            self._place()

    def state(self, row: int) -> dict[str, Tensor]:
        """Returns what the run in a row of the pack needs to go on; nothing for one not cut."""
        if row not in self.ranks:
            return {}
        averages = {name: own.cpu().clone() for name, own in self._averages(row).items()}
        return {**averages, _RANKS: torch.tensor(self.ranks[row])}

    def set_state(self, row: int, state: dict[str, Tensor]) -> None:
        """Takes what `state` gave."""
        if row not in self.ranks:
            return
        for name, own in self._averages(row).items():
            own.copy_(state[name])
        self.ranks[row] = [int(rank) for rank in state[_RANKS].tolist()]
        self._place()

    def _averages(self, row: int) -> dict[str, Tensor]:
        """Views of a run's averages at its rank_max, as `state` calls them."""
        place, r = list(self.ranks).index(row), self._plans[row].rank_max
        both = ((_SENSITIVITY, self.sensitivity), (_UNCERTAINTY, self.uncertainty))
        return {
            prefix + name: self.kind.own(name, own[place], r)
            for prefix, averages in both
            for name, own in averages.items()
        }

    def _scores(self, place: int) -> Tensor:
        """Scores of what every rank of a run has more than the one before (N, r)."""
        entries = {
            name: own[place] * self.uncertainty[name][place]
            for name, own in self.sensitivity.items()
        }
        return self.kind.component_scores(entries)

    def _take(self, plans: Sequence[RunPlan]) -> None:
        self._plans = list(plans)
        all_modes = [plan.allocation.importance for plan in plans]
        own = [mode for mode in all_modes if mode is not None]
        self._beta1 = torch.tensor([plan.beta1 for plan in own], device=self.device)
        self._beta2 = torch.tensor([plan.beta2 for plan in own], device=self.device)
        self._place()

    def _place(self) -> None:
        """Puts rows and ranks on the device, where a step finds them without a copy."""
        self.rows = torch.tensor(list(self.ranks), dtype=torch.long, device=self.device)
        cut = list(self.ranks.values())
        self.as_cut = torch.tensor(cut, dtype=torch.long, device=self.device)
