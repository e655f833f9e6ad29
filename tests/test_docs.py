"""The documentation site builds without a warning; the page of settings names them all."""

import dataclasses
import os
import re
from pathlib import Path

import pytest
from omegaconf import OmegaConf
from processes import Fork
from sweeps import end

from lora_sweep import __version__
from lora_sweep.config import schema
from lora_sweep.config.data import DATA_SOURCES
from lora_sweep.config.run import RunConfig
from lora_sweep.config.store import CONF

DOCS = Path(__file__).parents[1] / "docs"
SCHEMAS = (
    *(kind for kind in vars(schema).values() if dataclasses.is_dataclass(kind)),
    *DATA_SOURCES.values(),
    RunConfig,
)


@pytest.mark.slow
def test_site_builds_without_a_warning(tmp_path: Path) -> None:
    for package in ("sphinx", "myst_parser", "furo"):
        pytest.importorskip(package, reason="the site needs the extra `docs`")
    command = ["sphinx", "-W", "--keep-going", "-b", "html", "-d", str(tmp_path / "doctrees")]
    process = Fork([*command, str(DOCS), str(tmp_path / "site")], cwd=tmp_path, env=os.environ)
    code, output = end(process)
    assert code == 0, output
    built = {path.stem for path in (tmp_path / "site").glob("*.html")}
    assert {path.stem for path in DOCS.glob("*.md")} | {"report"} <= built
    reference = (tmp_path / "site" / "api" / "library.html").read_text(encoding="utf-8")
    assert 'id="lora_sweep.adapt"' in reference


def test_settings_page_names_every_option_and_field() -> None:
    page = (DOCS / "settings.md").read_text(encoding="utf-8")
    groups = [folder for folder in Path(CONF).iterdir() if folder.is_dir()]
    options = {file.stem for folder in groups for file in folder.glob("*.yaml")}
    fields = {field.name for group in SCHEMAS for field in dataclasses.fields(group)}
    named = set(re.findall(r"\w[\w.]*", " ".join(re.findall(r"`([^`\n]+)`", page))))
    named |= {part for name in named for part in name.split(".")}
    assert options <= named, options - named
    assert fields <= named, fields - named


def test_citation_names_this_version() -> None:
    assert OmegaConf.load(DOCS.parent / "CITATION.cff").version == __version__
