"""From a typed config to trained runs: jobs, groups, packs, workers, recorders."""
