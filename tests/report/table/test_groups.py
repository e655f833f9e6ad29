"""Which runs are compared with each other, and what their groups are called."""

from typing import Any

import pytest

from lora_sweep.report.table.cell_names import cell_names, setting_words
from lora_sweep.report.table.collect import collect_runs
from lora_sweep.report.table.groups import group_runs
from lora_sweep.report.table.labels import init_words
from lora_sweep.report.table.summarise import summarise_runs


def _groups(sweep: Any, runs: list[dict[str, Any]]) -> dict[str, int]:
    """Name of each group -> its runs."""
    for i, own in enumerate(runs):
        sweep.finish(f"run{i}", 0.5, own)
    return {name: len(own) for name, own in group_runs(collect_runs(sweep.path)).items()}


def test_groups_are_trained_alike_where_some_ranks_are_fixed(sweep: Any, settings: Any) -> None:
    runs = [
        settings(init=init, training__epochs=epochs)
        for epochs in (3, 5)
        for init in ("uniform", "fixed")
    ]
    assert _groups(sweep, runs) == {"training.epochs=3": 2, "training.epochs=5": 2}


def test_training_is_a_setting_like_others_where_all_ranks_are_learnt(
    sweep: Any, settings: Any
) -> None:
    runs = [settings(learning_rate__adapter=rate) for rate in (0.1, 0.2, 0.3)]
    assert _groups(sweep, runs) == {"cola": 3}
    names = cell_names(summarise_runs(collect_runs(sweep.path)))
    assert names == [f"Uniform, LR 0.001, learning_rate.adapter={x}" for x in (0.1, 0.2, 0.3)]


def test_what_has_no_effect_on_fixed_ranks_parts_nothing(sweep: Any, settings: Any) -> None:
    runs = [settings(init="fixed"), settings(training__epochs_discrete=0), settings(rank__max=30)]
    assert _groups(sweep, runs) == {"cola": 3}


def test_names_say_the_task_and_of_one_task_what_differs(sweep: Any, settings: Any) -> None:
    small, large = (settings(data__n_train=n) for n in (100, 200))
    other = settings(data__name="sst2", data__task="sst2", data__n_train=None)
    assert list(_groups(sweep, [small, large, other])) == [
        *("cola, data.n_train=100", "cola, data.n_train=200", "sst2")
    ]


def test_baselines_are_named_by_what_they_differ_in(sweep: Any, settings: Any) -> None:
    for average, high in ((20, 20), (25, 25), (20, 30)):
        own = settings(init="fixed", rank__average=average, rank__max=high)
        sweep.finish(f"{average}-{high}", 0.5, own)
    assert sorted(cell_names(summarise_runs(collect_runs(sweep.path)))) == [
        *("fixed, rank 20, rank.max=20", "fixed, rank 20, rank.max=30"),
        "fixed, rank 25, rank.max=25",
    ]


@pytest.mark.parametrize(
    ("value", "said"),
    [
        *((0.1, "x=0.1"), (3.0, "x=3"), (0.0012345678, "x=0.0012345678"), (None, "x=null")),
        *((True, "x=true"), (("a", "b"), "x=a; b"), (2000, "x=2000"), (1e-05, "x=1e-05")),
    ],
)
def test_value_is_said_in_every_digit(value: Any, said: str) -> None:
    assert setting_words("x", value) == said


def test_init_is_said_as_people_write_it_and_all_else_as_it_is() -> None:
    assert init_words("left_skewed") == "Left skewed"
    assert init_words("left_skewed, soft_topk") == "Left skewed, soft_topk"
    assert init_words("left_skewed (training.batch_size=16)") == (
        "Left skewed (training.batch_size=16)"
    )
