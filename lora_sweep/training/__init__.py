"""Our own training loop over packs of runs."""
