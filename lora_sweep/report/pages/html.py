"""report.html: report.md as one page that needs nothing but itself, with a page a run.

Markdown is rendered without raw HTML, the rest goes through a template that escapes: nothing that
came from a config or a data file is taken for markup.
"""

import base64
import re
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from urllib.parse import quote

from jinja2 import Environment, PackageLoader, StrictUndefined
from markdown_it import MarkdownIt
from markdown_it.token import Token

from lora_sweep.report.figures.picture import FOLDER
from lora_sweep.report.pages.run_pages import run_pages
from lora_sweep.report.table.sweep import Sweep
from lora_sweep.store.run_folder import CONFIG_FILE
from lora_sweep.vocabulary import MISSING

_SHORT = 30
"""Characters that a table's field has on one line: numbers with their spread, most names."""


def page_text(sweep: Sweep, report: str) -> str:
    """Returns the page.

    Args:
        sweep: whose run folders and pictures can be read.
        report: the text of report.md.
    """
    pages = run_pages(sweep)
    anchors = {f"{quote(page.name)}/{CONFIG_FILE}": f"#{page.anchor}" for page in pages}
    markdown = MarkdownIt("commonmark", {"html": False}).enable("table")
    tokens = markdown.parse(report)
    headings = _number_headings(tokens)
    for block, inline in pairwise(tokens):
        _link_runs(inline.children or [], anchors)
        if _embed_pictures(inline.children or [], sweep.folder):
            block.attrSet("class", "pictures")
        if block.type == "td_open" and len(inline.content) <= _SHORT:
            block.attrSet("class", "whole")
    first = next((i for i, token in enumerate(tokens) if token.tag == "h2"), len(tokens))
    opening, sections = (
        markdown.renderer.render(part, markdown.options, {})
        for part in (tokens[:first], tokens[first:])
    )
    environment = Environment(
        loader=PackageLoader("lora_sweep.report", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    template = environment.get_template("page.html")
    n_runs = int((sweep.runs["status"] != MISSING).sum())
    return template.render(
        name=sweep.name,
        opening=opening,
        sections=sections,
        headings=headings,
        pages=pages,
        n_runs=n_runs,
    )


def _number_headings(tokens: list[Token]) -> list[tuple[str, str]]:
    """Gives the second-level headings anchors, and returns anchor and text of each."""
    headings: list[tuple[str, str]] = []
    for opening, inline in pairwise(tokens):
        if opening.type == "heading_open" and opening.tag == "h2":
            anchor = f"section-{len(headings) + 1}"
            opening.attrSet("id", anchor)
            said = "".join(child.content for child in inline.children or [])
            headings.append((anchor, said))
    return headings


def _link_runs(children: list[Token], anchors: Mapping[str, str]) -> None:
    """Links to a run's config lead to its page."""
    for token in children:
        if token.type == "link_open" and token.attrGet("href") in anchors:
            token.attrSet("href", anchors[str(token.attrGet("href"))])


def _embed_pictures(children: list[Token], folder: Path) -> bool:
    """Puts pictures into the page itself, as buttons that enlarge them; returns whether it did."""
    has_any = False
    for i, token in enumerate(children):
        source = str(token.attrGet("src") or "")
        if token.type != "image" or not source.startswith(f"{FOLDER}/"):
            continue
        has_any = True
        drawn = (folder / source).with_suffix(".svg").read_bytes()
        token.attrSet("src", f"data:image/svg+xml;base64,{base64.b64encode(drawn).decode()}")
        for place in (i - 1, i + 1):  # the link around it
            children[place].tag = "button"
        shape = f"--ratio: {_ratio(drawn):.3f}"
        children[i - 1].attrs = {"type": "button", "class": "enlarge", "style": shape}
    return has_any


def _ratio(drawn: bytes) -> float:
    """Width by height of an SVG picture, by which a row shares its width; 1 where it says none."""
    found = re.search(rb'viewBox="0 0 ([\d.]+) ([\d.]+)"', drawn)
    return float(found[1]) / float(found[2]) if found else 1.0
