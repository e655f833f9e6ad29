"""The kinds of exports."""

KINDS = ("peft", "merged", "loraxs")
