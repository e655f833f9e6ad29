"""The ways to allocate a budget: a file each, found by itself (see `allocation.mode`)."""
