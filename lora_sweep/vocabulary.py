"""Names that several parts of the package need, and nothing else: no torch, no logic."""

EXPORT_KINDS = ("peft", "merged", "loraxs")
"""Formats that `python -m lora_sweep.export` writes."""
