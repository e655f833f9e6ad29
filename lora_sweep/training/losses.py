"""What a run's outputs cost: cross-entropy for classes, squared error for values."""

from torch import Tensor
from torch.nn import functional


def run_losses(outputs: Tensor, labels: Tensor) -> Tensor:
    """Returns each run's mean loss (K,): cross-entropy, or squared error for one output.

    Args:
        outputs: the heads' outputs (K, b, n_labels).
        labels: (K, b), int64 for classes, float32 for values.
    """
    if outputs.shape[-1] == 1:
        return (outputs[..., 0] - labels).square().mean(dim=1)
    each = functional.cross_entropy(outputs.flatten(0, 1), labels.flatten(), reduction="none")
    return each.view(labels.shape).mean(dim=1)
