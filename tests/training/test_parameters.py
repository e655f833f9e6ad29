import dataclasses
from typing import Any

import pytest
import torch
from toy import FIXED, RUN, changed, sizes

from lora_sweep.training.parameters import count_trained, run_state, start_parameters
from lora_sweep.training.plan import Start

SMALL = changed(RUN, seed=3, rank_max=2, rank_average=2)


def test_start_values_have_their_shapes_and_scales() -> None:
    bank = start_parameters(
        [RUN, SMALL],
        shapes=sizes(40),
        spectra=torch.ones(40, 5),
        r=5,
        d=16,
        n_labels=3,
    )
    shapes = {name: tuple(values.shape) for name, values in bank.items()}
    assert shapes == {
        "R": (2, 40, 5, 5),
        "logits": (2, 40),
        "head.dense.weight": (2, 16, 16),
        "head.dense.bias": (2, 16),
        "head.out.weight": (2, 3, 16),
        "head.out.bias": (2, 3),
    }
    assert bank["R"][0].std().item() == pytest.approx(1e-5, rel=0.1)
    assert bank["head.dense.weight"].std().item() == pytest.approx(0.02, rel=0.1)
    assert bank["R"][1, :, 2:].abs().max() == 0 and bank["R"][1, :, :, 2:].abs().max() == 0


def test_run_starts_the_same_beside_any_other() -> None:
    alone = start_parameters(
        [SMALL], shapes=sizes(4), spectra=torch.ones(4, 2), r=2, d=6, n_labels=2
    )
    beside = start_parameters(
        [RUN, SMALL], shapes=sizes(4), spectra=torch.ones(4, 5), r=5, d=6, n_labels=2
    )
    assert torch.equal(beside["R"][1, :, :2, :2], alone["R"][0])
    for name in set(alone) - {"R"}:
        assert torch.equal(beside[name][1], alone[name][0])


def test_logits_come_from_the_init_schedule() -> None:
    plan = changed(RUN, init="quadratic")
    bank = start_parameters(
        [plan, FIXED], shapes=sizes(5), spectra=torch.ones(5, 5), r=5, d=4, n_labels=2
    )
    assert bank["logits"][0].argmax() == 2 and bank["logits"][0, 2] == 1
    assert bank["logits"][1].tolist() == [0.0] * 5


def test_state_is_cut_to_the_runs_own_size() -> None:
    bank = start_parameters(
        [RUN, SMALL, FIXED], shapes=sizes(4), spectra=torch.ones(4, 5), r=5, d=6, n_labels=2
    )
    assert run_state(bank, 1, SMALL)["R"].shape == (4, 2, 2)
    assert "logits" in run_state(bank, 1, SMALL)
    assert "logits" not in run_state(bank, 2, FIXED)


def test_trained_parameters_by_hand() -> None:
    # 4 matrices of 5 x 5; head 6 * 6 + 6 + 2 * 6 + 2; one logit a matrix
    counts = count_trained(RUN, shapes=sizes(4), d=6, n_labels=2)
    assert counts == {"adapter": 100, "head": 56, "logits": 4, "total": 160}


def test_trained_parameters_of_fixed_ranks_are_those_that_the_mask_keeps() -> None:
    counts = count_trained(FIXED, shapes=sizes(4), d=6, n_labels=2)
    rank = int(FIXED.allocation.rank_average)
    assert rank < FIXED.rank_max
    assert counts == {"adapter": 4 * rank**2, "head": 56, "logits": 0, "total": 4 * rank**2 + 56}


def test_run_starts_from_what_it_is_given() -> None:
    given = start_parameters(
        [SMALL], shapes=sizes(4), spectra=torch.ones(4, 2), r=2, d=6, n_labels=2
    )
    own = {name: 3 * part[0] + 1 for name, part in given.items()}
    head = {name: part for name, part in own.items() if name.startswith("head.")}
    shape: dict[str, Any] = {
        "shapes": sizes(4),
        "spectra": torch.ones(4, 5),
        "r": 5,
        "d": 6,
    }
    plan = dataclasses.replace(SMALL, start=Start({"R": own["R"]}, head))
    bank = start_parameters([RUN, plan], n_labels=2, **shape)
    assert torch.equal(bank["R"][1, :, :2, :2], own["R"])
    assert bank["R"][1, :, 2:].abs().max() == 0 and bank["R"][1, :, :, 2:].abs().max() == 0
    assert all(torch.equal(bank[name][1], part) for name, part in head.items())
    without = dataclasses.replace(SMALL, start=Start({"R": own["R"]}, None))
    fresh = start_parameters([without], n_labels=2, **shape)
    assert all(torch.equal(fresh[name], given[name]) for name in head)
    with pytest.raises(ValueError, match=r"R must start with shape \(3, 2, 2\), but got \(4, 2"):
        start_parameters([plan], n_labels=2, **shape | {"shapes": sizes(3)})
    with pytest.raises(ValueError, match=r"head\.out\.weight must start with shape \(3, 6\)"):
        start_parameters([plan], n_labels=3, **shape)
