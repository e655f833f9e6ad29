"""Budget schedules: step -> rank budget (`budget_params`).

A budget is stated as the rank that every one of the N matrices would have if all had the same,
its average: of LoRA-XS M_p = N average^2, in entries of R. A statement in ranks holds for any
model.
"""


def ramp(step: float, *, start: float, end: float, n_hold: float, n_move: float) -> float:
    """Returns the budget of a ramp: held, moved linearly, held again.

    The budget (not the average rank) moves linearly:
    start + p (end - start),  p = clip((step - n_hold) / n_move, 0, 1)

    Args:
        step: steps taken so far; `start` at step 0, `end` from step n_hold + n_move on.
        start: budget before the ramp.
        end: budget after it; larger or smaller than `start`.
        n_hold: steps to hold the start.
        n_move: steps of the ramp; 0 is a jump at n_hold.

    Raises:
        ValueError: a negative step or count.

    Source: the published study's growing budget; the shrinking one is ours.
    """
    if min(step, n_hold, n_move) < 0:
        raise ValueError(
            f"step, n_hold and n_move must be >= 0, but got {step}, {n_hold} and {n_move}"
        )
    moved = step - n_hold
    progress = min(max(moved / n_move, 0.0), 1.0) if n_move > 0 else float(moved >= 0)
    return start + progress * (end - start)
