"""report.html: escaped, whole; in a real browser sortable, filterable, without a request."""

import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from lora_sweep.report.pages.run_pages import bar_chart, line_chart
from lora_sweep.report.table.sweep import read_sweep_folder
from lora_sweep.report.write import find, write_report

Settings = Callable[..., dict[str, Any]]
EVIL = "<img src=x onerror=alert(1)> </script><script>alert(2)</script> [x](javascript:alert(3))"
ODD = f"{EVIL} | $x^ a_b"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
needs_browser = pytest.mark.skipif(CHROMIUM is None, reason="needs Debian's chromium")


def page_of(folder: Path) -> str:
    sweep = read_sweep_folder(folder)
    write_report(sweep, find(sweep))
    return (folder / "report.html").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def filled(shared_sweep: Any, settings: Settings) -> Any:
    """A sweep with two inits, one of an odd name, a baseline, and runs that failed or wait.

    The odd init is compared with the baseline over three seeds, with randn over two rates.
    """
    sweep, at, own = shared_sweep, (0.001, 0.01, 0.1), {"data__note": EVIL}
    runs: dict[str, tuple[float, dict[str, Any]]] = {
        **{f"odd{i}": (0.5 + 0.01 * i, {"init": ODD, "lr": at[0], "seed": i}) for i in range(3)},
        "odd3": (0.52, {"init": ODD, "lr": at[1]}),
        **{
            f"randn{i}": (metric, {"init": "randn", "lr": at[i]})
            for i, metric in enumerate((0.4, 0.45, 0.09))
        },
        **{f"fixed{i}": (0.5, {"init": "fixed", "seed": i}) for i in range(3)},
    }
    for name, (metric, changes) in runs.items():
        sweep.finish(name, metric, settings(**changes, **own))
        sweep.write(name, "config.yaml", f"note: {EVIL}\n")
    sweep.fail("broken", settings(init=ODD, seed=9), f"ValueError: {EVIL}")
    sweep.start("waiting", settings(seed=5))
    return sweep


@pytest.fixture(scope="module")
def page(filled: Any) -> str:
    return page_of(filled.path)


def test_nothing_from_a_run_is_markup(page: str) -> None:
    assert "onerror" in page  # it is shown
    assert "<img src=x" not in page
    assert "alert(2)</script>" not in page
    assert 'href="javascript' not in page
    assert page.count("<script>") == page.count("</script>") == 1


def test_names_of_inits_split_no_table(page: str) -> None:
    for table in re.findall(r"<table>.*?</table>", page, re.DOTALL):
        widths = {row.count("<td") for row in re.findall(r"<tr>.*?</tr>", table, re.DOTALL)}
        assert len(widths - {0}) == 1


def test_page_needs_nothing_else(page: str) -> None:
    addresses = set(re.findall(r'(?:src|href)="([^"]*)"', page))
    outside = {a for a in addresses if not a.startswith(("#", "data:"))}
    assert all(re.fullmatch(r"\w+/run\.log", address) for address in outside)
    anchors = set(re.findall(r'id="([^"]*)"', page))
    assert {address[1:] for address in addresses if address.startswith("#")} <= anchors


def test_every_started_run_has_a_page(page: str) -> None:
    names = re.findall(r'<article class="run" id="run-\d+">.*?<h2>(.*?)</h2>', page, re.DOTALL)
    expected = [f"{init}{i}" for init in ("odd", "randn", "fixed") for i in range(3)]
    assert sorted(names) == sorted([*expected, "odd3", "broken"])


def test_same_sweep_gives_the_same_bytes(filled: Any, page: str) -> None:
    pictures = {p.name: p.read_bytes() for p in (filled.path / "figures").iterdir()}
    assert page_of(filled.path) == page
    assert {p.name: p.read_bytes() for p in (filled.path / "figures").iterdir()} == pictures


def test_line_chart_spans_its_values() -> None:
    chart = line_chart("metric", [1.0, 3.0, 2.0])
    assert (chart.low, chart.high) == ("1", "3")
    assert [(mark.x, mark.y) for mark in chart.marks] == [(0, 150), (280, 0), (560, 75)]
    flat = line_chart("metric", [2.0])
    assert [(mark.x, mark.y) for mark in flat.marks] == [(0, 0)]


def test_bars_start_at_nothing() -> None:
    chart = bar_chart("ranks", [5, 20], ["a", "b"])
    assert [(mark.y, mark.height) for mark in chart.marks] == [(112.5, 37.5), (0, 150)]
    assert [mark.said for mark in chart.marks] == ["a: 5", "b: 20"]
    assert bar_chart("ranks", [0], ["a"]).marks[0].height == 0


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    flags = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=flags)
        yield started
        started.close()


@pytest.fixture
def opened(filled: Any, page: str, browser: Any) -> Iterator[Any]:
    """The page in a browser; at the end there was no error and no request but for itself."""
    tab = browser.new_page(viewport={"width": 1300, "height": 900})
    trouble: list[str] = []
    requests: list[str] = []
    tab.on("console", lambda message: trouble.append(message.text))
    tab.on("pageerror", lambda error: trouble.append(str(error)))
    tab.on("dialog", lambda dialog: trouble.append(f"dialog {dialog.message}"))
    tab.on("request", lambda request: requests.append(request.url))
    address = (filled.path / "report.html").as_uri()
    tab.goto(address)
    yield tab
    assert trouble == []
    assert {url.split("#")[0] for url in requests if not url.startswith("data:")} == {address}
    tab.close()


def _column(page: Any, section: str, column: int) -> list[str]:
    rows = page.locator(f"h2:has-text('{section}') ~ .scroll").first.locator("tbody tr:visible")
    return [row.locator("td").nth(column).inner_text() for row in rows.all()]


@needs_browser
@pytest.mark.slow
@pytest.mark.parametrize("size", [(1400, 900), (400, 800)], ids=["desk", "phone"])
def test_first_screen_is_answer_picture_and_table(opened: Any, size: tuple[int, int]) -> None:
    """On a desk all three are in sight, on a phone the answer, and no contents before them."""
    width, height = size
    opened.set_viewport_size({"width": width, "height": height})
    answer = opened.locator(".opening ul").bounding_box()
    picture = opened.locator(".opening .enlarge img").bounding_box()
    table = opened.locator("#report table").first.bounding_box()
    assert answer["y"] < 120
    assert picture["y"] < table["y"]
    assert answer["y"] + answer["height"] < height
    if width > 1000:  # beside each other, and the table begins on the same screen
        assert picture["x"] > answer["x"] + answer["width"]
        assert picture["y"] + picture["height"] < height and table["y"] + 100 < height
    assert not opened.locator("nav ol").is_visible()
    opened.locator("nav summary").click()
    assert opened.locator("nav a").first.inner_text() == "All cells"


@needs_browser
@pytest.mark.slow
def test_pictures_of_a_row_are_equally_high(opened: Any) -> None:
    opened.set_viewport_size({"width": 1400, "height": 900})
    rows: dict[tuple[int, int], list[float]] = {}
    for i, block in enumerate(opened.locator(".pictures").all()):
        for image in block.locator("img").all():
            box = image.bounding_box()
            rows.setdefault((i, round(box["y"])), []).append(box["height"])
    assert max(map(len, rows.values())) > 1
    assert all(max(heights) - min(heights) < 2 for heights in rows.values())


@needs_browser
@pytest.mark.slow
def test_only_long_tables_have_a_filter(opened: Any) -> None:
    tables = opened.locator("#report .scroll")
    long = [one.locator("tbody tr").count() > 8 for one in tables.all()]
    filtered = [
        one.evaluate("box => box.previousElementSibling.matches('.filter')")
        for one in tables.all()
    ]
    assert filtered == long and set(long) == {True, False}


@needs_browser
@pytest.mark.slow
def test_tables_sort_by_number(opened: Any) -> None:
    """The odd init's cells, randn's and the baseline; a cell without a number stays last."""
    table = opened.locator("h2:has-text('All cells') ~ .scroll").first
    heading = table.locator("th", has_text="Median ± Std").first
    heading.locator("button").click()
    up = ["9.00", "40.00", "45.00", "50.00 ± 0.00", "51.00 ± 1.00", "52.00"]
    assert _column(opened, "All cells", 8)[: len(up)] == up
    assert heading.get_attribute("aria-sort") == "ascending"
    heading.locator("button").click()
    assert _column(opened, "All cells", 8)[: len(up)] == up[::-1]
    table.locator("th", has_text="LR").locator("button").click()
    rates = [float(rate) for rate in _column(opened, "All cells", 6) if rate]
    assert rates == sorted(rates)
    assert heading.get_attribute("aria-sort") is None


@needs_browser
@pytest.mark.slow
def test_tables_filter_by_words(opened: Any) -> None:
    runs = "Where the numbers come from"
    box = opened.locator(f"h2:has-text('{runs}') ~ .filter").first
    assert len(_column(opened, runs, 0)) == 10
    box.fill("randn 0.01")
    assert _column(opened, runs, 0) == ["randn1"]
    box.fill("")
    assert len(_column(opened, runs, 0)) == 10


@needs_browser
@pytest.mark.slow
def test_run_pages_are_reached_and_left(opened: Any) -> None:
    opened.locator("#report tr", has_text="randn1").locator("a", has_text="config").click()
    page = opened.locator("article:visible")
    assert page.locator("h2").inner_text() == "randn1"
    assert not opened.locator("#report").is_visible()
    assert page.locator("svg").count() == 3
    page.locator("summary", has_text="config").click()
    assert EVIL in page.locator("details pre").inner_text()
    page.locator("a", has_text="Next run").click()
    assert opened.locator("article:visible h2").inner_text() == "randn2"
    opened.locator("article:visible a", has_text="Report").click()
    assert opened.locator("#report").is_visible()


@needs_browser
@pytest.mark.slow
def test_pictures_are_shown_and_enlarged(opened: Any) -> None:
    shown = opened.locator(".enlarge img")
    assert shown.count() > 10
    widths = [image.evaluate("image => image.naturalWidth") for image in shown.all()]
    assert min(widths) > 100
    opened.locator(".enlarge").first.click()
    large = opened.locator("dialog img").bounding_box()
    assert large is not None and large["width"] > 1100
    opened.keyboard.press("Escape")
    assert not opened.locator("dialog").is_visible()


@needs_browser
@pytest.mark.slow
def test_page_fits_a_phone_and_paper(opened: Any) -> None:
    opened.set_viewport_size({"width": 390, "height": 800})
    assert opened.evaluate("document.documentElement.scrollWidth") == 390
    opened.emulate_media(media="print")
    assert not opened.locator("nav").is_visible()
    assert not opened.locator(".filter").first.is_visible()
    assert opened.locator("tbody tr").first.is_visible()
