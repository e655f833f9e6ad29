"""Trained classifiers, from a run's folder or an export: what they are, and their outputs."""
