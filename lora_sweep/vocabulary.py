"""Names that several parts of the package need, and nothing else: no torch, no logic."""

EXPORT_KINDS = ("peft", "merged", "loraxs")
"""Formats that `python -m lora_sweep.export` writes."""

FIXED, FROZEN = "fixed", "from_run-frozen"
"""What runs with ranks that stay have for an init: all ranks are the same, or another run's."""

ONLY_LEARNT = ("lr", "rank.min", "training.epochs_discrete", "alpha.", "budget.", "allocation.")
"""Settings, or starts of their names, that have no effect on fixed ranks."""

FINISHED, FAILED, PRUNED = "finished", "failed", "pruned"
"""What became of a run, or of a trial."""
MISSING, UNREADABLE = "missing", "unreadable"
"""What a report says of a run without a result, and of one whose result can't be read."""

TRAIN, SELECTION = "train", "selection"
"""Splits of a corpus that no dev part may be called like."""

HEAD = "head."
"""What the names of all of a head's parameters start with."""
HEAD_DENSE, HEAD_OUT = "head.dense", "head.out"
"""The head's two linear layers."""

LORA_ALPHA = 16
"""lora_scale s = LORA_ALPHA / rank_max. Source: the published study."""
SPELLED = (
    *("model.name", "model.path", "data.path", "data.train", "data.dev"),
    *("model.adapter", "init.run"),
)
"""Settings that say where something lies. What lies there is a setting of its own: its content."""
