import torch

from lora_sweep.data.batches import epoch_order, evaluation_batches, padded_batch, ragged_batch
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


def test_ragged_batch_by_hand() -> None:
    batch = ragged_batch(TEXTS, torch.tensor([[1, 2], [0, 2]]))
    assert batch.input_ids.tolist() == [[21, 22, 23, 31, 11, 12, 31]]
    assert batch.positions.tolist() == [[0, 1, 2, 0, 0, 1, 0]]
    assert batch.labels.tolist() == [[0, 1], [1, 1]]
    assert batch.place is not None and batch.run_place is not None
    assert batch.place.tolist() == [0, 1, 2, 3, 6, 7, 9]
    # run 0 has four tokens, run 1 three: rows of four
    assert batch.run_length == 4 and batch.run_place.tolist() == [0, 1, 2, 3, 4, 5, 6]


def test_single_run_needs_no_row_of_its_own() -> None:
    batch = ragged_batch(TEXTS, torch.tensor([[0, 1]]))
    assert batch.run_place is None and batch.run_length == 0


def test_padding_and_back_is_the_identity() -> None:
    batch = ragged_batch(TEXTS, torch.tensor([[1, 2, 0]]))
    values = torch.arange(12.0).view(1, 6, 2) + 1
    padded = batch.padded(values)
    assert padded[1].tolist() == [[7, 8], [0, 0], [0, 0]]
    assert torch.equal(batch.ragged(padded), values)


def test_evaluation_takes_every_text_once_by_length() -> None:
    index = [batch.tolist() for batch in evaluation_batches(TEXTS, 2)]
    assert index == [[2, 0], [1]]


def test_order_is_the_generators() -> None:
    orders = [epoch_order(50, torch.Generator().manual_seed(seed)).tolist() for seed in (0, 0, 1)]
    assert orders[0] == orders[1] != orders[2]
    assert sorted(orders[0]) == list(range(50))
