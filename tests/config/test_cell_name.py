"""Runs of one cell have one name for it, and runs of two cells have two."""

from collections.abc import Callable

from lora_sweep.config.run import RunConfig, cell_name, run_settings


def cell_of(config: RunConfig, seed: int) -> str:
    return cell_name(run_settings(config, seed))


def test_cell_is_the_runs_name_without_its_seed(composed: Callable[..., RunConfig]) -> None:
    plain = composed("init=randn", "rank=r5_25", "rank.average=20", "lr=0.05")
    first, second = cell_of(plain, 0), cell_of(plain, 1)
    assert first == second
    assert first.startswith("randn-r5_25_20-lr0.05-") and "seed" not in first


def test_cells_whose_names_are_alike_are_told_apart(composed: Callable[..., RunConfig]) -> None:
    """Only the hash tells that one setting is another, and it is of the seed as well."""
    names = [cell_of(composed(f"alpha.max={value}"), 0) for value in (3, 4)]
    assert names[0].rpartition("-")[0] == names[1].rpartition("-")[0]
    assert names[0] != names[1]


def test_base_that_was_moved_makes_no_other_cell(composed: Callable[..., RunConfig]) -> None:
    def name(path: str, seed: int, content: str) -> str:
        settings = run_settings(composed(f"model.path={path}"), seed, {"model.content": content})
        return cell_name(settings)

    here = name("/a/base", 0, "12ab")
    assert name("/b/other", 1, "12ab") == here
    assert name("/a/base", 0, "34cd") != here
