import logging
from multiprocessing.pool import ThreadPool
from pathlib import Path
from typing import Any

import pytest
import torch
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from tokenizers.processors import TemplateProcessing

from lora_sweep.data.corpus import LabelledTexts
from lora_sweep.data.tokens import TokenisedTexts, tokenise, tokenizer_fingerprint
from lora_sweep.errors import BaseModelError, CorpusError, SettingError

VOCABULARY = {"[PAD]": 0, "[UNK]": 1, "[CLS]": 2, "[SEP]": 3, "a": 4, "b": 5, "c": 6, "d": 7}
SENTENCES = LabelledTexts(("a b", "c", "a b c d", "b b b"), None, (1, 0, 1, 1))
PAIRS = LabelledTexts(("a", "a b c d"), ("b c", "d"), (0.5, 2.0))


def build_tokenizer(*, types: bool = True, special: bool = True, **words: int) -> Any:
    from transformers import PreTrainedTokenizerFast

    backend = Tokenizer(WordLevel(VOCABULARY | words, unk_token="[UNK]"))
    backend.pre_tokenizer = Whitespace()
    if special:
        backend.post_processor = TemplateProcessing(
            single="[CLS] $A [SEP]",
            pair="[CLS] $A [SEP] $B:1 [SEP]:1",
            special_tokens=[("[CLS]", 2), ("[SEP]", 3)],
        )
    names = ["input_ids", *(["token_type_ids"] if types else []), "attention_mask"]
    return PreTrainedTokenizerFast(
        tokenizer_object=backend, unk_token="[UNK]", pad_token="[PAD]", model_input_names=names
    )


def run(
    texts: LabelledTexts, tokenizer: Any, max_length: int = 5, cache_dir: Path | None = None
) -> TokenisedTexts:
    return tokenise(
        texts,
        tokenizer,
        max_length=max_length,
        cache_dir=cache_dir,
        tokenizer_fingerprint=tokenizer_fingerprint(tokenizer),
    )


def cache_files(folder: Path, suffix: str = ".safetensors") -> list[Path]:
    return sorted((folder / "tokens").glob(f"*{suffix}"))


def test_sentences_become_flat_token_ids() -> None:
    tokens = run(SENTENCES, build_tokenizer())
    # Row 3 has six tokens and loses its "d".
    assert tokens.ids.tolist() == [2, 4, 5, 3, 2, 6, 3, 2, 4, 5, 6, 3, 2, 5, 5, 5, 3]
    assert tokens.offsets.tolist() == [0, 4, 7, 12, 17]
    assert tokens.lengths.tolist() == [4, 3, 5, 5]
    assert tokens.labels.tolist() == [1, 0, 1, 1]
    assert len(tokens) == 4


def test_pairs_get_types_and_lose_from_the_longer() -> None:
    tokens = run(PAIRS, build_tokenizer(), max_length=6)
    assert tokens.types is not None
    assert tokens.ids.tolist() == [2, 4, 3, 5, 6, 3, 2, 4, 5, 3, 7, 3]
    assert tokens.types.tolist() == [0, 0, 0, 1, 1, 1, 0, 0, 0, 0, 1, 1]


def test_dtypes_are_those_stated() -> None:
    sentences, pairs = run(SENTENCES, build_tokenizer()), run(PAIRS, build_tokenizer())
    assert (sentences.ids.dtype, sentences.offsets.dtype) == (torch.int32, torch.int64)
    assert sentences.labels.dtype == torch.int64
    assert pairs.labels.dtype == torch.float32


@pytest.mark.parametrize("cached", [False, True], ids=["fresh", "from_cache"])
def test_model_without_types_gets_none(tmp_path: Path, cached: bool) -> None:
    tokenizer = build_tokenizer(types=False)
    if cached:
        run(SENTENCES, tokenizer, cache_dir=tmp_path)
    assert run(SENTENCES, tokenizer, cache_dir=tmp_path).types is None


def test_truncated_texts_are_counted(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger="lora_sweep"):
        run(SENTENCES, build_tokenizer())
    # The last text has five tokens as well, but lost none.
    assert caplog.messages == ["1 of 4 texts were cut to 5 tokens"]


def test_second_call_reads_the_cache(tmp_path: Path) -> None:
    tokenizer = build_tokenizer()
    first = run(PAIRS, tokenizer, cache_dir=tmp_path)
    fingerprint = tokenizer_fingerprint(tokenizer)

    class Silent:
        num_special_tokens_to_add = tokenizer.num_special_tokens_to_add

    again = tokenise(
        PAIRS, Silent(), max_length=5, cache_dir=tmp_path, tokenizer_fingerprint=fingerprint
    )
    assert again.types is not None and first.types is not None
    assert torch.equal(again.ids, first.ids) and torch.equal(again.types, first.types)
    assert torch.equal(again.offsets, first.offsets) and torch.equal(again.labels, first.labels)


def test_cache_is_shared_by_other_labels(tmp_path: Path) -> None:
    tokenizer = build_tokenizer()
    run(SENTENCES, tokenizer, cache_dir=tmp_path)
    other = LabelledTexts(SENTENCES.texts, None, (0, 0, 1, 0))
    assert run(other, tokenizer, cache_dir=tmp_path).labels.tolist() == [0, 0, 1, 0]
    assert len(cache_files(tmp_path)) == 1


def test_cache_tells_inputs_apart(tmp_path: Path) -> None:
    tokenizer = build_tokenizer()
    run(SENTENCES, tokenizer, cache_dir=tmp_path)
    run(SENTENCES, tokenizer, max_length=6, cache_dir=tmp_path)
    run(SENTENCES, build_tokenizer(e=8), cache_dir=tmp_path)
    run(SENTENCES.rows([1, 0, 2, 3]), tokenizer, cache_dir=tmp_path)
    assert len(cache_files(tmp_path)) == 4


@pytest.mark.parametrize("keep", [0, 20, -1], ids=["empty", "cut_in_header", "cut_at_end"])
def test_broken_cache_is_set_aside(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, keep: int
) -> None:
    first = run(SENTENCES, build_tokenizer(), cache_dir=tmp_path)
    (path,) = cache_files(tmp_path)
    path.write_bytes(path.read_bytes()[:keep])
    again = run(SENTENCES, build_tokenizer(), cache_dir=tmp_path)
    assert torch.equal(again.ids, first.ids)
    assert "it is set aside as" in caplog.text
    assert len(cache_files(tmp_path, ".damaged")) == len(cache_files(tmp_path)) == 1


def test_two_at_once_get_the_same_tokens(tmp_path: Path) -> None:
    tokenizers = [build_tokenizer() for _ in range(2)]
    with ThreadPool(2) as pool:
        one, two = pool.map(lambda each: run(SENTENCES, each, cache_dir=tmp_path), tokenizers)
    assert torch.equal(one.ids, two.ids)
    assert cache_files(tmp_path, ".unfinished") == []


def test_fingerprint_ignores_earlier_calls() -> None:
    tokenizer = build_tokenizer()
    before = tokenizer_fingerprint(tokenizer)
    tokenizer(["a b c"], truncation=True, max_length=3, padding="max_length")
    assert tokenizer_fingerprint(tokenizer) == before


@pytest.mark.parametrize(
    "other", [{"e": 8}, {"types": False}, {"special": False}], ids=["word", "types", "special"]
)
def test_fingerprint_changes_with_tokenizer(other: dict[str, Any]) -> None:
    assert tokenizer_fingerprint(build_tokenizer(**other)) != tokenizer_fingerprint(
        build_tokenizer()
    )


def test_slow_tokenizer_is_refused() -> None:
    with pytest.raises(BaseModelError, match=r"must be a fast one .* but got object"):
        tokenizer_fingerprint(object())


@pytest.mark.parametrize(
    ("texts", "n_special"), [(SENTENCES, 2), (PAIRS, 3)], ids=["sentences", "pairs"]
)
def test_limit_leaves_room_for_a_token(texts: LabelledTexts, n_special: int) -> None:
    run(texts, build_tokenizer(), max_length=n_special + 1)
    with pytest.raises(SettingError, match=f"above the {n_special} special tokens"):
        run(texts, build_tokenizer(), max_length=n_special)


def test_text_without_tokens_is_refused() -> None:
    texts = LabelledTexts(("a", " \t"), None, (0, 1))
    with pytest.raises(CorpusError, match="row 2 has no tokens"):
        run(texts.rows([0, 1, 0]), build_tokenizer(special=False))


def test_pair_without_tokens_is_named_by_both_halves() -> None:
    texts = LabelledTexts(("a", " "), ("b", "\t"), (0, 1))
    with pytest.raises(CorpusError, match=r"row 2 has no tokens: ' ' with '\\t'"):
        run(texts, build_tokenizer(special=False))
