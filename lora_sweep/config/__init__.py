"""Typed settings: dataclasses with their rules, and their registration with Hydra."""
