"""Which factors the cache holds, by kind, seed, rank and content."""

import logging
import os
import pickle
from pathlib import Path

import pytest
import torch
from processes import ENVIRONMENT, Fork
from torch import Tensor

from lora_sweep.adapters.factors.factoriser import Factoriser
from lora_sweep.adapters.factors.kinds import Recipe


def _weight(d_out: int = 5, d_in: int = 3, seed: int = 0) -> Tensor:
    return torch.randn(d_out, d_in, generator=torch.Generator().manual_seed(seed))


def test_cache_gives_the_same_bits(tmp_path: Path) -> None:
    first, again = (Factoriser(2, tmp_path)(_weight()) for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert len(list(tmp_path.rglob("*.safetensors"))) == 1


def test_cache_is_keyed_by_content(tmp_path: Path) -> None:
    Factoriser(2, tmp_path)(_weight(seed=0))
    Factoriser(2, tmp_path)(_weight(seed=1))
    assert len(list(tmp_path.rglob("*.safetensors"))) == 2


def test_unreadable_cache_is_set_aside(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    A, _ = Factoriser(2, tmp_path)(_weight())
    (path,) = tmp_path.rglob("*.safetensors")
    path.write_bytes(b"no tensors")
    with caplog.at_level(logging.WARNING):
        again, _ = Factoriser(2, tmp_path)(_weight())
    assert torch.equal(A, again) and "set aside" in caplog.text
    assert path.with_name(f"{path.name}.damaged").read_bytes() == b"no tensors"


def test_two_processes_share_one_file(tmp_path: Path) -> None:
    script = tmp_path / "factorise.py"
    script.write_text(
        "import sys, torch; from pathlib import Path; "
        "from lora_sweep.adapters.factors.factoriser import Factoriser; "
        "w = torch.randn(64, 32, generator=torch.Generator().manual_seed(0)); "
        "A, B = Factoriser(4, Path(sys.argv[1]))(w); print(A.sum().item(), B.sum().item())"
    )
    command = [str(script), str(tmp_path / "cache")]
    both = [Fork(command, cwd=tmp_path, env=os.environ | ENVIRONMENT) for _ in range(2)]
    said = [process.communicate(timeout=60)[0] for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    assert said[0] == said[1] != ""
    assert len(list(tmp_path.rglob("*.safetensors"))) == 1


def _files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*.safetensors"))


def test_cache_tells_kinds_seeds_and_ranks_apart(tmp_path: Path) -> None:
    weight = _weight(40, 30)
    for recipe in (Recipe(), Recipe("randomised", 0), Recipe("randomised", 1)):
        for rank in (2, 3):
            kept = Factoriser(rank, tmp_path, recipe)(weight)
            fresh = recipe.make(weight, 30 if recipe.nest else rank)
            assert all(torch.equal(a, b) for a, b in zip(kept, fresh, strict=True))
    # Two ranks of two seeds, and one factorisation of the nesting kind for both ranks.
    assert len(_files(tmp_path)) == 5


def test_exact_factors_have_no_seed(tmp_path: Path) -> None:
    for seed in (None, 0, 1):
        Factoriser(2, tmp_path, Recipe("exact", seed))(_weight())
    assert len(_files(tmp_path)) == 1


def test_factoriser_can_be_pickled(tmp_path: Path) -> None:
    factorise = Factoriser(2, tmp_path, Recipe("randomised", 7))
    assert pickle.loads(pickle.dumps(factorise)) == factorise


@pytest.mark.parametrize("rank", [0, 4])
def test_rank_out_of_range_is_refused_before_the_cache(rank: int, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=rf"within 1 ... 3 .*but got {rank}"):
        Factoriser(rank, tmp_path, Recipe("randomised", 0))(_weight())
    assert not _files(tmp_path)
