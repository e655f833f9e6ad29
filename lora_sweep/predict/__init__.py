"""Predictions for a file of rows, by a run or an export of one."""
