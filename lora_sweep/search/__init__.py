"""The sweeper `optuna_resumable`: a search that can be stopped, shared, pruned and confirmed."""
