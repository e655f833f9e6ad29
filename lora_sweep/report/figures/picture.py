"""What is known of a picture without drawing it: so tables come where nothing can be drawn."""

from dataclasses import dataclass

FOLDER = "figures"
COMPARISON, CELLS, RANKS = "comparison", "cells", "ranks"
METHOD, SEARCH = "method", "search"
RANK_CURVES = "rank curves"


@dataclass(frozen=True)
class Picture:
    """A picture of a report.

    Attributes:
        name: of its files, without ending.
        title: what is seen.
        section: of the report that it belongs to: an init, or one of the names above.
    """

    name: str
    title: str
    section: str
