"""The documentation site: `python -m sphinx -W --keep-going -b html docs docs/_build`."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from lora_sweep import __version__

project = "lora_sweep"
author = "the lora_sweep authors"
release = __version__
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.viewcode"]
exclude_patterns = ["_build", "example_report"]
html_theme = "furo"
html_title = f"lora_sweep {release}"
html_extra_path = []

myst_heading_anchors = 3
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
napoleon_numpy_docstring = False
