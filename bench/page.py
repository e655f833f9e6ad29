"""Where the benchmark's figures stand in the documentation: between two lines of a guide."""

from pathlib import Path

PAGE = Path(__file__).parent.parent / "docs" / "performance.md"
BEGIN, END = "<!-- figures: written by `make bench` -->", "<!-- end of figures -->"


def with_figures(page: str, figures: str) -> str:
    """Returns the page with other figures; what stands around them stays.

    Args:
        page: Markdown with the lines `BEGIN` and `END`.
        figures: Markdown for the lines between them.
    """
    before, _, rest = page.partition(f"{BEGIN}\n")
    _, _, after = rest.partition(f"{END}\n")
    return f"{before}{BEGIN}\n{figures}\n{END}\n{after}"
