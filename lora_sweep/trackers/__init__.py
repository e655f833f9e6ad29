"""Trackers: run histories told to other tools, off by default."""
