"""The documentation site: `python -m sphinx -W --keep-going -b html docs docs/_build`."""

import os
import re
import sys
from pathlib import Path
from typing import Any

from sphinx.project import Project

sys.path.insert(0, str(Path(__file__).parent.parent))

from lora_sweep import __version__

project = "lora_sweep"
author = "the authors of lora_sweep"
release = __version__
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.viewcode"]
exclude_patterns = ["_build", "example_report"]

html_theme = "furo"
html_title = f"lora_sweep {release}"
html_extra_path = ["example_report/report.html"]

myst_heading_anchors = 3
default_role = "code"  # a docstring's `name` is code, as in Markdown
autodoc_member_order = "bysource"
napoleon_numpy_docstring = False
napoleon_use_ivar = True
napoleon_custom_sections = ["Source"]


def keep_formulas(
    app: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]
) -> None:
    """Makes the indented blocks of a docstring literal, so that their columns stay."""
    for i in reversed(range(2, len(lines))):
        before, blank, first = lines[i - 2 : i + 1]
        starts_block = first.startswith("    ") and not blank.strip()
        if starts_block and before.strip() and not before.startswith(" "):
            lines[i - 1 : i] = ["", "::", ""]


def unlink_repository(app: Any, name: str, source: list[str]) -> None:
    """Leaves the words of a guide's links into the repository, which the site does not hold."""
    if "/" not in name:
        source[0] = re.sub(r"(?<!!)\[([^\]]+)\]\((\.\./|example_report/)[^)]*\)", r"\1", source[0])


def name_pages() -> None:
    """Makes searching.html of search.md, as search.html is Sphinx's own page."""
    named = Project.path2doc

    def path2doc(project: Project, filename: str | os.PathLike[str]) -> str | None:
        name = named(project, filename)
        return "searching" if name == "search" else name

    Project.path2doc = path2doc  # type: ignore[method-assign]


def setup(app: Any) -> None:
    """Formulas come before napoleon (500), which reads what is left as Google sections."""
    name_pages()
    app.connect("source-read", unlink_repository)
    app.connect("autodoc-process-docstring", keep_formulas, priority=400)
