"""The documentation site builds without a warning, and without a network."""

import subprocess
import sys
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[1] / "docs"


@pytest.mark.slow
def test_site_builds_without_a_warning(tmp_path: Path) -> None:
    for package in ("sphinx", "myst_parser", "furo"):
        pytest.importorskip(package, reason="the site needs the extra `docs`")
    command = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-b", "html"]
    places = ["-d", str(tmp_path / "doctrees"), str(DOCS), str(tmp_path / "site")]
    done = subprocess.run([*command, *places], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    built = {path.stem for path in (tmp_path / "site").glob("*.html")}
    assert {path.stem for path in DOCS.glob("*.md")} | {"report"} <= built
    reference = (tmp_path / "site" / "api" / "library.html").read_text(encoding="utf-8")
    assert 'id="lora_sweep.adapt"' in reference
