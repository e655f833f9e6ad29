"""Frozen factors A, B of a weight: a file for each kind, the list of kinds, and the disk cache."""
