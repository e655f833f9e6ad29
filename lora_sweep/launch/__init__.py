"""Hydra plugins: how a sweep's runs are listed and started."""
