"""Which cells differ: comparisons and what may be claimed of them."""
