"""Names that several parts of the package need, and nothing else: no torch, no logic."""

CLASSIFIER_KINDS = ("peft", "merged", "loraxs")
"""Exports that hold what a run trained, so that they predict as it does."""
RANK_PATTERN = "rank_pattern"
"""The export of a run's learnt ranks alone."""
EXPORT_KINDS = (*CLASSIFIER_KINDS, RANK_PATTERN)
"""Formats that `python -m lora_sweep.export` writes."""
EXPORT_FILE = "lora_sweep.json"
"""What tells an export's folder: it says whose export it is, and of which kind."""

FIXED, FROZEN = "fixed", "-frozen"
"""What runs with ranks that stay have for an init: that name where all ranks are the same, and a
name with that end (`from_run-frozen`) where another run or the data gave them."""

ONLY_LEARNT = (
    *("lr", "rank.min", "training.epochs_discrete", "training.best_from"),
    *("alpha.", "budget.", "allocation."),
)
"""Settings, or starts of their names, that have no effect on fixed ranks."""

STUDY_COLUMNS = {
    "Task": "data.task",
    "Rank Min": "rank.min",
    "Rank Max": "rank.max",
    "Alpha Min": "alpha.min",
    "Alpha Max": "alpha.max",
    "LR": "lr",
    "Rank Avg": "rank.average",
}
"""Headings of the published study's tables -> the settings below them."""

FIRST, SETTLED = "first", "settled"
"""From which epoch on the best one is looked for: `training.best_from`."""

FINISHED, FAILED, PRUNED = "finished", "failed", "pruned"
"""What became of a run, or of a trial."""
COLLAPSED = "collapsed at the end"
"""What is said of a run whose last epoch predicts one class only, whatever its best one did."""
MISSING, UNREADABLE = "missing", "unreadable"
"""What a report says of a run without a result, and of one whose result can't be read."""

GRIDS = "grids"
"""The sweeper whose runs are all known before one starts."""
RESOLVE = "hydra/sweeper=resolve"
"""What makes a sweep's command one that adds seeds."""

TRAIN, SELECTION = "train", "selection"
"""Splits of a corpus that no dev part may be called like."""

LATENT = "R"
"""What a LoRA-XS adapter trains: the latent matrices."""
HEAD = "head."
"""What the names of all of a head's parameters start with."""
HEAD_DENSE, HEAD_OUT = "head.dense", "head.out"
"""The head's two linear layers."""

CACHE_SETTING = "paths.cache (or LORA_SWEEP_CACHE in the environment)"
"""What says where factors and tokens are kept, as messages name it."""

EXACT = "exact"
"""The usual kind of frozen factors, which needs no seed: exact truncated SVD."""
LORA_XS = "lora_xs"
"""The usual kind of adapter."""
LORA_ALPHA = 16
"""The default of `lora_alpha`: lora_scale s = lora_alpha / rank_max. Source: the study."""
SPELLED = (
    *("model.name", "model.path", "data.path", "data.train", "data.dev"),
    *("model.adapter", "init.run"),
)
"""Settings that say where something lies. What lies there is a setting of its own: its content."""

UNSAID: dict[str, float | str] = {
    "model.lora_alpha": float(LORA_ALPHA),
    "model.adapter_dropout": 0.0,
    "model.factors": EXACT,
    "adapter.kind": LORA_XS,
}
"""What the method itself has: settings of a run that does it differently, and of no other run."""
