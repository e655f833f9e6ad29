"""What a training loop may forget, said once: to count its steps, or to call an adapted layer."""

import warnings
from collections.abc import Iterable

PATIENCE = 3
"""Changes of R within a step that are one too many; two-pass optimisers make two."""


class TrainingWatch:
    """Follows the forward passes in training, and warns of what they show."""

    def __init__(self) -> None:
        """Has seen nothing."""
        self._has_run = False
        self._trained: set[str] = set()
        self._place = (-1, -1)  # step, version of R
        self._changes = 0
        self._has_warned = False
        self._has_looked = False

    def saw_layer(self, name: str, *, has_gradient: bool) -> None:
        """Notes a layer's forward pass in training; only with a gradient is it trained."""
        self._has_run = True
        if has_gradient:
            self._trained.add(name)

    def saw_masks(self, step: int, version: int) -> None:
        """Notes the step and R's version that a forward pass in training is made with.

        Warns if R has changed several times and the step stands still.
        """
        last_step, last_version = self._place
        self._place = step, version
        if step != last_step:
            self._changes = 0
        elif version != last_version:
            self._changes += 1
        if self._changes == PATIENCE and not self._has_warned:
            self._has_warned = True
            warnings.warn(
                f"R has changed {PATIENCE} times in step {step}: call adapter.advance() after "
                "every optimiser step, or alpha, budget and discretisation stand still",
                stacklevel=2,
            )

    def saw_step(self, names: Iterable[str]) -> None:
        """Notes an optimiser step; after the first one, warns of matrices that had no part in it.

        Args:
            names: of all adapted matrices.
        """
        if not self._has_run or self._has_looked:
            return
        self._has_looked = True
        idle = [name for name in names if name not in self._trained]
        if idle:
            warnings.warn(
                f"{len(idle)} adapted matrices got no gradient in the first training step, the "
                f"first being {idle[0]}: their layers were not called, or within "
                "torch.utils.checkpoint with use_reentrant=True on inputs without a gradient "
                "(model.enable_input_require_grads() gives them one)",
                stacklevel=2,
            )
