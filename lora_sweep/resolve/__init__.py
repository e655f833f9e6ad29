"""Resolving a sweep: the command; the work is in `launch/resolve.py`."""
