"""The pictures of a search show every trial, cut nothing, overlap nothing."""

from typing import Any

import pytest
from matplotlib.collections import PathCollection
from matplotlib.figure import Figure

from lora_sweep.report.figures.search import (
    draw_fresh,
    draw_front,
    draw_importances,
    draw_slices,
    search_figures,
)
from lora_sweep.store.search_record import SearchRecord, Value

from ..searches import again, search, trial
from .test_figures import check_legible

WORDS = ("uniform", "randn", "quadratic", "left_skewed")


def params_of(number: int, n_settings: int) -> dict[str, Value]:
    own: dict[str, Value] = {
        "lr": 0.001 * 1.3**number,
        "rank.average": 5 + number % 20,
        "init": WORDS[number % 4],
        "alpha.max": 1.0 + number / 10,
        "learning_rate.adapter": 0.02,
        "allocation.mode": "capped",
        "rank.max": 25,
    }
    return dict(list(own.items())[:n_settings])


def searched(n: int, n_settings: int = 4, *, two: bool = False) -> SearchRecord:
    """A search of n finished trials, one failed and two pruned ones."""
    finished = [
        trial(i, 0.1, 0.2 + i / 100, 0.9, n_params=10 * i**2 if two else None) for i in range(n)
    ]
    ended = [trial(n + i, status=s) for i, s in enumerate(("failed", "pruned", "pruned"))]
    trials = [
        type(one)(**{**vars(one), "params": params_of(one.number, n_settings)})
        for one in (*finished, *ended)
    ]
    confirmed = tuple(again(i, 0.1, 0.3) for i in range(min(3, n)))
    return search(*trials, confirmed=confirmed, importances={"lr": 0.7, "init": 0.3})


def points(figure: Figure, label: str) -> list[list[Any]]:
    """Places of the marks of a label, a list a field."""
    return [
        [tuple(place) for place in drawn.get_offsets()]
        for axes in figure.axes
        for drawn in axes.collections
        if isinstance(drawn, PathCollection) and str(drawn.get_label()).startswith(label)
    ]


@pytest.mark.parametrize(("n", "n_settings"), [(1, 1), (1, 4), (24, 7)])
def test_slices_have_a_field_a_setting_and_all_trials(n: int, n_settings: int) -> None:
    record = searched(n, n_settings)
    figure = draw_slices(record)
    fields = [axes.get_title() for axes in figure.axes if axes.axison]
    assert fields == list(params_of(0, n_settings))
    for label, n_marks in (("finished", n), ("failed", 1), ("pruned", 2)):
        assert [len(own) for own in points(figure, label)] == [n_marks] * n_settings
    for label in ("finished", "failed", "pruned"):
        for axes, own in zip(figure.axes, points(figure, label), strict=False):
            low, high = axes.get_xlim()
            assert all(low < x < high for x, _ in own)
    heights = [height for _, height in points(figure, "finished")[0]]
    assert heights == pytest.approx([20.0 + i for i in range(n)])
    check_legible(figure)


def test_slice_of_words_has_a_place_a_word() -> None:
    figure = draw_slices(searched(8))
    (axes,) = (axes for axes in figure.axes if axes.get_title() == "init")
    words = [label.get_text() for label in axes.get_xticklabels()]
    assert words == sorted(WORDS)
    places = [words[round(x)] for x, _ in points(figure, "finished")[2]]
    assert places == [WORDS[i % 4] for i in range(8)]


def test_slice_of_a_wide_real_setting_is_logarithmic() -> None:
    scales = {axes.get_title(): axes.get_xscale() for axes in draw_slices(searched(24)).axes}
    assert (scales["lr"], scales["rank.average"], scales["alpha.max"]) == ("log", *["linear"] * 2)


@pytest.mark.parametrize("n", [1, 24])
def test_front_stands_apart_from_other_trials(n: int) -> None:
    beaten = trial(90, 0.0, 0.1, 0.2, n_params=50_000)
    record = searched(n, two=True)
    record = search(*record.trials, beaten)
    figure = draw_front(record)
    (line,) = figure.axes[0].get_lines()
    assert list(line.get_xdata()) == [10 * i**2 for i in range(n)]
    assert list(line.get_ydata()) == pytest.approx([20.0 + i for i in range(n)])
    assert points(figure, "other") == [[(50_000, 10.0)]]
    check_legible(figure)


def test_importances_have_a_bar_a_setting() -> None:
    figure = draw_importances(search(trial(0), importances={"a": 0.2, "b": 0.7, "c": 0.1}))
    axes = figure.axes[0]
    assert [bar.get_width() for bar in axes.patches] == pytest.approx([10, 20, 70])
    assert [label.get_text() for label in axes.get_yticklabels()] == ["c", "a", "b"]
    check_legible(figure)


@pytest.mark.parametrize("n", [1, 3])
def test_second_look_has_two_points_a_trial(n: int) -> None:
    figure = draw_fresh(searched(n))
    drawn = [container.lines[0].get_ydata() for container in figure.axes[0].containers]
    assert drawn[0] == pytest.approx([20.0 + i for i in range(n)])
    assert drawn[1] == pytest.approx([20.0] * n)
    check_legible(figure)


def test_unfinished_search_has_the_pictures_there_are() -> None:
    assert list(search_figures(search(trial(0, status="failed"), trial(1)))) == []
    names = [name for name, _, _ in search_figures(search(trial(0, 0.1, 0.2, 0.3)))]
    assert names == ["search_slices"]
    names = [name for name, _, _ in search_figures(searched(3, two=True))]
    assert names == [f"search_{what}" for what in ("slices", "front", "importances", "fresh")]
