import pytest

from lora_sweep.data.tasks import GLUE_TASKS, TASKS, Task


def test_table_lists_glue_and_embedded_corpus() -> None:
    glue = {"cola", "sst2", "mrpc", "qqp", "stsb", "mnli", "qnli", "rte", "wnli"}
    assert set(GLUE_TASKS) == glue
    assert set(TASKS) == glue | {"minimal_pairs"}
    assert all(task.name == name for name, task in TASKS.items())


@pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)
def test_task_has_a_name_for_every_class(task: Task) -> None:
    assert len(task.label_names) == (0 if task.is_regression else task.n_labels)


@pytest.mark.parametrize(
    ("name", "headline"),
    [("cola", "matthews_correlation"), ("mrpc", "accuracy"), ("stsb", "pearson")],
)
def test_first_metric_is_the_headline(name: str, headline: str) -> None:
    assert TASKS[name].metrics[0] == headline


def test_stsb_alone_is_regression() -> None:
    assert [name for name, task in TASKS.items() if task.is_regression] == ["stsb"]
    assert TASKS["stsb"].label_range == (0.0, 5.0)


@pytest.mark.parametrize(
    ("name", "columns"),
    [
        ("cola", ("sentence", None)),
        ("qqp", ("question1", "question2")),
        ("mnli", ("premise", "hypothesis")),
        ("qnli", ("question", "sentence")),
        ("wnli", ("sentence1", "sentence2")),
    ],
)
def test_columns_are_those_of_the_hub(name: str, columns: tuple[str, str | None]) -> None:
    assert (TASKS[name].text, TASKS[name].text_pair) == columns


def test_wnli_alone_puts_entailment_last() -> None:
    assert TASKS["wnli"].label_names == ("not_entailment", "entailment")
    assert TASKS["rte"].label_names == ("entailment", "not_entailment")
