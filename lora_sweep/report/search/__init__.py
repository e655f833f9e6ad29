"""The part of a report that a search adds."""
