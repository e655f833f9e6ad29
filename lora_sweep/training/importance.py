"""A pack's runs whose ranks follow the importance of R's entries: what they keep between steps."""

from collections.abc import Sequence

import torch
from torch import Tensor

from lora_sweep.allocation.importance import cut_ranks, shell_scores, smooth_importance
from lora_sweep.training.plan import RunPlan

_SENSITIVITY, _UNCERTAINTY, _RANKS = "sensitivity", "uncertainty", "ranks"


class PackImportance:
    """Averages and ranks of those of a pack's K runs that are cut: K' of them.

    Attributes:
        ranks: row in the pack -> integer ranks (N) of its run.
        rows, as_cut: the same on the device, rows (K',) and ranks (K', N).
        sensitivity, uncertainty: moving averages (K', N, r, r), run after run.
    """

    def __init__(
        self, plans: Sequence[RunPlan], n_matrices: int, *, r: int, device: torch.device
    ) -> None:
        """Starts at rank_max, with averages of 0.

        Args:
            plans: of all runs of the pack.
            n_matrices: N.
            r: size of R.
            device: where R is.
        """
        self.device = device
        self.ranks = {
            row: [plan.rank_max] * n_matrices
            for row, plan in enumerate(plans)
            if plan.allocation.importance is not None
        }
        self.sensitivity = torch.zeros(len(self.ranks), n_matrices, r, r, device=device)
        self.uncertainty = torch.zeros_like(self.sensitivity)
        self._take(plans)

    def __bool__(self) -> bool:
        """Whether any run is cut."""
        return bool(self.ranks)

    def keep(self, rows: Sequence[int]) -> None:
        """Drops all runs but those rows of the pack."""
        places = list(self.ranks)
        index = [places.index(row) for row in rows if row in self.ranks]
        self.sensitivity, self.uncertainty = self.sensitivity[index], self.uncertainty[index]
        self.ranks = {new: self.ranks[old] for new, old in enumerate(rows) if old in self.ranks}
        self._take([self._plans[row] for row in rows])

    @torch.no_grad()
    def observe(
        self, latent: Tensor, gradient: Tensor, before: Sequence[float], after: Sequence[float]
    ) -> None:
        """Takes in a step, and cuts the ranks of the runs whose budget falls with it.

        Args:
            latent: R at the step (K, N, r, r).
            gradient: of the runs' losses with respect to R, not clipped (K, N, r, r).
            before: rank budget of every run before the step (K).
            after: rank budget of every run after it (K).
        """
        latest = (latent[self.rows] * gradient[self.rows]).abs()  # (K', N, r, r)
        smooth_importance(
            self.sensitivity, self.uncertainty, latest, beta1=self._beta1, beta2=self._beta2
        )
        falling = [row for row in self.ranks if after[row] < before[row]]
        for place, row in enumerate(self.ranks):
            if row in falling:
                scores = shell_scores(self.sensitivity[place] * self.uncertainty[place])
                self.ranks[row] = cut_ranks(
                    self.ranks[row],
                    scores.tolist(),
                    after[row],
                    rank_min=self._plans[row].allocation.rank_min,
                )
        if falling:
            self._place()

    def state(self, row: int) -> dict[str, Tensor]:
        """Returns what the run in a row of the pack needs to go on; nothing for one not cut."""
        if row not in self.ranks:
            return {}
        place, r = list(self.ranks).index(row), self._plans[row].rank_max
        return {
            _SENSITIVITY: self.sensitivity[place, :, :r, :r].cpu().clone(),
            _UNCERTAINTY: self.uncertainty[place, :, :r, :r].cpu().clone(),
            _RANKS: torch.tensor(self.ranks[row]),
        }

    def set_state(self, row: int, state: dict[str, Tensor]) -> None:
        """Takes what `state` gave."""
        if row not in self.ranks:
            return
        place, r = list(self.ranks).index(row), self._plans[row].rank_max
        self.sensitivity[place, :, :r, :r] = state[_SENSITIVITY].to(self.device)
        self.uncertainty[place, :, :r, :r] = state[_UNCERTAINTY].to(self.device)
        self.ranks[row] = [int(rank) for rank in state[_RANKS].tolist()]
        self._place()

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
