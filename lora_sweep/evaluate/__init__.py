"""Metrics of a run, or of an export of one, on any data source."""
