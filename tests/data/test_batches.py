import torch
from torch import Tensor

from lora_sweep.data.batches import (
    Batch,
    ahead,
    epoch_order,
    evaluation_batches,
    padded_batch,
    ragged_batch,
)
from lora_sweep.data.tokens import TokenisedTexts

# three texts: 11 12 | 21 22 23 | 31
TEXTS = TokenisedTexts(
    ids=torch.tensor([11, 12, 21, 22, 23, 31], dtype=torch.int32),
    types=torch.tensor([0, 1, 0, 0, 1, 0], dtype=torch.int32),
    offsets=torch.tensor([0, 2, 5, 6]),
    labels=torch.tensor([1, 0, 1]),
)


def test_padded_batch_by_hand() -> None:
    batch = padded_batch(TEXTS, torch.tensor([[1, 2]]), pad_id=9)
    assert batch.input_ids.tolist() == [[21, 22, 23], [31, 9, 9]]
    assert batch.is_real.tolist() == [[True, True, True], [True, False, False]]
    assert batch.token_type_ids is not None
    assert batch.token_type_ids.tolist() == [[0, 0, 1], [0, 0, 0]]
    assert batch.labels.tolist() == [[0, 1]]


def test_padded_batch_of_a_given_length() -> None:
    batch = padded_batch(TEXTS, torch.tensor([[2]]), pad_id=9, length=4)
    assert batch.input_ids.tolist() == [[31, 9, 9, 9]]


def test_ragged_batch_by_hand() -> None:
    batch = ragged_batch(TEXTS, torch.tensor([[1, 2], [0, 2]]), n_heads=1)
    assert batch.input_ids.tolist() == [[21, 22, 23, 31, 11, 12, 31]]
    assert batch.positions.tolist() == [[0, 1, 2, 0, 0, 1, 0]]
    assert batch.labels.tolist() == [[0, 1], [1, 1]]
    assert batch.n_tokens == (4, 3)
    # a row a text of three places; a text's first token stands at padding
    assert batch.texts is not None
    assert batch.texts.place.tolist() == [0, 1, 2, 3, 6, 7, 9]
    assert batch.texts.source.tolist() == [0, 1, 2, 3, 3, 3, 4, 5, 4, 6, 6, 6]
    # run 0 has four tokens, run 1 three: rows of four
    assert batch.runs is not None
    assert batch.runs.place.tolist() == [0, 1, 2, 3, 4, 5, 6]
    assert batch.runs.source.tolist() == [0, 1, 2, 3, 4, 5, 6, 4]


def test_single_run_needs_no_row_of_its_own() -> None:
    assert ragged_batch(TEXTS, torch.tensor([[0, 1]]), n_heads=1).runs is None


def test_spare_tokens_fill_up_to_a_multiple() -> None:
    index = torch.tensor([[1, 2], [0, 2]])
    plain, filled = (ragged_batch(TEXTS, index, n_heads=2, multiple=m) for m in (1, 5))
    assert filled.input_ids.tolist() == [[*plain.input_ids[0].tolist(), 0, 0, 0]]
    assert filled.positions.shape == filled.input_ids.shape == (1, 10)
    assert filled.token_type_ids is not None and filled.token_type_ids.shape == (1, 10)
    assert filled.n_tokens == plain.n_tokens == (4, 3)
    for own, same, n_spare in (
        (filled.texts, plain.texts, 3),
        (filled.runs, plain.runs, 3),
        (filled.heads, plain.heads, 6),
    ):
        assert own is not None and same is not None
        assert torch.equal(own.source, same.source) and torch.equal(own.place, same.place)
        first = len(own.place)
        assert own.spare.tolist() == list(range(first, first + n_spare))
        assert len(same.spare) == 0


def test_single_run_with_spare_tokens_has_a_row_of_its_own() -> None:
    runs = ragged_batch(TEXTS, torch.tensor([[0, 1]]), n_heads=1, multiple=4).runs
    assert runs is not None
    assert runs.source.tolist() == runs.place.tolist() == [0, 1, 2, 3, 4]
    assert runs.spare.tolist() == [5, 6, 7]


def test_length_groups_by_hand() -> None:
    # lengths 17, 2, 20: one text in the group up to 16 tokens, two in that up to 32
    offsets = torch.tensor([0, 17, 19, 39])
    texts = TokenisedTexts(torch.arange(39), None, offsets, torch.zeros(3))
    batch = ragged_batch(texts, torch.tensor([[0, 1], [2, 0]]), n_heads=2)
    short, long = batch.groups
    assert (short.cap, short.length, short.n_texts) == (16, 16, (1, 0))
    assert (long.cap, long.length, long.n_texts) == (32, 32, (1, 2))
    assert short.bias.shape == (2, 1, 16) and (short.bias == 0).sum(dim=-1).tolist() == [[2], [2]]
    # a text's heads together: text 0, text 2, text 0 again
    real = (long.bias == 0).sum(dim=-1).flatten().tolist()
    assert real == [17, 17, 20, 20, 17, 17]
    assert batch.heads is not None
    # tokens in line are 17, 2, 20, 17; the short text's are 17 and 18, its heads 34 to 37
    source = batch.heads.source.tolist()
    assert source[:3] == [34, 36, 34] and source[16:19] == [35, 37, 35]
    rows = torch.arange(2 * 56)
    assert torch.equal(rows[batch.heads.source][batch.heads.place], rows)


def test_ahead_yields_every_batch_in_order() -> None:
    made = []

    def make(index: Tensor) -> Batch:
        made.append(index.tolist())
        return padded_batch(TEXTS, index[None], pad_id=9)

    indices = list(torch.split(torch.tensor([2, 0, 1]), 1))
    labels = [batch.labels.tolist() for batch in ahead(make, indices)]
    assert labels == [[[1]], [[1]], [[0]]] and made == [[2], [0], [1]]
    assert list(ahead(make, [])) == []


def test_evaluation_takes_every_text_once_by_length() -> None:
    index = [batch.tolist() for batch in evaluation_batches(TEXTS, 2)]
    assert index == [[2, 0], [1]]


def test_order_is_the_generators() -> None:
    orders = [epoch_order(50, torch.Generator().manual_seed(seed)).tolist() for seed in (0, 0, 1)]
    assert orders[0] == orders[1] != orders[2]
    assert sorted(orders[0]) == list(range(50))
