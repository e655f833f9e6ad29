import pytest
import torch
from torch import Tensor, nn
from toy import RAGGED_FAMILIES, make_encoder, make_tokens

from lora_sweep.training.dropout import _WORTH_THREADS, Drawing, SeededDropout, seed_dropout
from lora_sweep.training.seeds import stream_generator
from lora_sweep.training.workspace import Workspace


def _generators(*seeds: int) -> list[torch.Generator]:
    return [stream_generator(seed, "dropout") for seed in seeds]


def _factors(n_rows: list[int], shape: tuple[int, ...], *seeds: int, p: float) -> Tensor:
    return Drawing(n_rows, _generators(*seeds)).factors(shape, p, torch.float32)


@pytest.mark.parametrize("p", [0.1, 0.5])
def test_factors_are_zero_at_the_rate_and_keep_the_mean(p: float) -> None:
    drawn = _factors([1000, 1000], (3, 50), 0, 1, p=p)
    assert drawn.shape == (2000, 3, 50)
    assert drawn.unique().tolist() == pytest.approx([0.0, 1 / (1 - p)], rel=1e-4)
    # 300,000 decisions: the share's standard error is below 0.001
    assert (drawn == 0).float().mean().item() == pytest.approx(p, abs=0.004)
    assert drawn.mean().item() == pytest.approx(1, abs=0.01)


def test_places_of_a_row_are_independent() -> None:
    dropped = (_factors([20_000], (8,), 0, p=0.5) == 0).double()
    correlation = torch.corrcoef(dropped.T) - torch.eye(8)
    assert correlation.abs().max() < 0.04  # five standard errors of 20,000 rows


def test_runs_draw_the_same_in_any_pack() -> None:
    alone = _factors([5], (2, 7), 3, p=0.3)
    packed = _factors([2, 5, 4], (2, 7), 8, 3, 1, p=0.3)
    assert torch.equal(packed[2:7], alone)
    assert not torch.equal(packed[7:], alone[:4])


def test_runs_draw_the_same_at_once_as_one_after_the_other() -> None:
    n_rows = [70, 90, 80]
    assert sum(n_rows) * 2 * 3000 // 4 > _WORTH_THREADS
    at_once = _factors(n_rows, (2, 3000), 8, 3, 1, p=0.3)
    seeds = zip(n_rows, (8, 3, 1), strict=True)
    each = [_factors([n], (2, 3000), seed, p=0.3) for n, seed in seeds]
    assert torch.equal(at_once, torch.cat(each))


def test_memory_of_an_earlier_step_changes_nothing() -> None:
    workspace = Workspace()
    for n_rows in ([3, 9], [5, 2], [4, 20]):
        fresh = _factors(n_rows, (2, 7), 0, 1, p=0.3)
        drawing = Drawing(n_rows, _generators(0, 1), workspace, n_spare=3)
        again = drawing.factors((2, 7), 0.3, torch.float32)
        assert torch.equal(again[: sum(n_rows)], fresh)
        assert again.shape == (sum(n_rows) + 3, 2, 7) and not again[sum(n_rows) :].any()


def test_next_step_draws_anew() -> None:
    generators = _generators(0)
    first, second = (Drawing([9], generators).factors((20,), 0.5, torch.float32) for _ in range(2))
    assert not torch.equal(first, second)


def test_no_row_draws_nothing() -> None:
    assert _factors([0, 2], (4,), 0, 1, p=0.1).shape == (2, 4)


def test_dropping_everything_leaves_no_infinity() -> None:
    assert _factors([3], (4,), 0, p=1.0).tolist() == [[0.0] * 4] * 3


@pytest.mark.parametrize("family", RAGGED_FAMILIES)
def test_every_place_of_an_encoder_is_seeded(family: str) -> None:
    encoder = make_encoder(family, dropout=0.25)
    places = encoder.dropout
    assert places is not None
    # the embeddings, and two a layer; one attention a layer
    assert len(places.hidden) == 1 + 2 * 2 and len(places.attention) == 2
    assert not any(isinstance(m, nn.Dropout) and m.p for m in encoder.encoder.modules())
    batch = encoder.batch(make_tokens(9, 0), torch.tensor([[0, 3], [4, 1]]))
    head = encoder.draw_dropout(batch, _generators(0, 1))
    assert head is not None and head.shape == (2, 2, 2, 32)
    shares = [(place.factors[0] == 0).float().mean().item() for place in places.hidden]
    assert shares == pytest.approx([0.25] * 5, abs=0.08)
    assert all(p.factors[0].shape == (sum(batch.n_tokens), 32) for p in places.hidden)
    length = batch.groups[0].length
    assert all(p.factors[0].shape == (4, 2, length, length) for p in places.attention)
    encoder.evaluation_mode()
    assert all(place.factors == () for place in (*places.hidden, *places.attention))


def test_rates_that_differ_are_refused() -> None:
    encoder = nn.Sequential(nn.Dropout(0.1), nn.Dropout(0.2))
    with pytest.raises(ValueError, match=r"the same at all places of a kind, but got \[0.1, 0.2"):
        seed_dropout(encoder, "self.dropout")


def test_narrower_embeddings_take_the_first_factors() -> None:
    place = SeededDropout(p=0.5)
    place.factors = (torch.arange(12.0).view(3, 4),)
    dropped = place(torch.ones(1, 3, 2))
    assert dropped.tolist() == [[[0.0, 1.0], [4.0, 5.0], [8.0, 9.0]]]


def test_adapters_inputs_are_dropped_by_each_runs_generator() -> None:
    encoder = make_encoder(adapter_dropout=0.25)
    texts = make_tokens(9, 0)
    both, alone = torch.tensor([[0, 3], [4, 1]]), torch.tensor([[4, 1]])
    batch = encoder.batch(texts, both)
    encoder.draw_dropout(batch, _generators(0, 1))
    kept = [layer.kept for layer in encoder.layers.values()]
    drawn = [own.clone() for own in kept if own is not None]  # the next step draws there too
    assert len(drawn) == len(kept)
    encoder.draw_dropout(encoder.batch(texts, alone), _generators(1))
    for layer, of_both in zip(encoder.layers.values(), drawn, strict=True):
        assert layer.kept is not None
        assert of_both.shape == (sum(batch.n_tokens), layer.weight.shape[1])
        assert torch.equal(of_both[batch.n_tokens[0] :], layer.kept)
        assert of_both.unique().tolist() == pytest.approx([0.0, 4 / 3], rel=1e-4)
    share = torch.cat([(own == 0).flatten() for own in drawn]).float().mean()
    assert share.item() == pytest.approx(0.25, abs=0.03)  # about 7,000 decisions
    encoder.evaluation_mode()
    assert all(layer.kept is None for layer in encoder.layers.values())
