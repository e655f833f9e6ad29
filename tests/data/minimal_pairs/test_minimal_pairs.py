import random
import re
import subprocess
import sys
from collections import Counter
from itertools import combinations

import pytest
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import matthews_corrcoef

from lora_sweep.data.minimal_pairs import corpus as minimal_pairs
from lora_sweep.data.minimal_pairs.corpus import (
    HELD_OUT_PARADIGMS,
    KNOWN_PARADIGMS,
    PARADIGMS,
    Judgement,
    generate_splits,
    morphology,
)
from lora_sweep.data.minimal_pairs.lexicon import content_words, lexicon
from lora_sweep.data.minimal_pairs.phrases import Draw, sentence
from lora_sweep.errors import CorpusError

Splits = dict[str, list[Judgement]]
_ALL = KNOWN_PARADIGMS | HELD_OUT_PARADIGMS
# Here both sentences of a pair must hold the very same words.
_SAME_WORDS = ("adjunct_island", "relative_island", "noun_clause_island", "question_inversion")


@pytest.fixture(scope="module")
def splits() -> Splits:
    return generate_splits(seed=3, n_train=2000, n_dev=500, n_out_of_domain=401)


def _pairs(paradigm: str, n: int = 40, held_out: bool = False) -> list[tuple[str, str]]:
    draw = Draw(lexicon(held_out), random.Random(5))
    return [_ALL[paradigm](draw) for _ in range(n)]


def _words(text: str) -> list[str]:
    return re.findall(r"[A-Za-z]+", text)


def test_splits_have_sizes_and_order(splits: Splits) -> None:
    sizes = [(name, len(judgements)) for name, judgements in splits.items()]
    assert sizes == [("train", 2000), ("in_domain", 500), ("out_of_domain", 401)]


@pytest.mark.parametrize("size", [1, 2, 7])
def test_small_splits_have_their_size(size: int) -> None:
    small = generate_splits(seed=0, n_train=size, n_dev=size, n_out_of_domain=size)
    assert {len(judgements) for judgements in small.values()} == {size}


def test_same_seed_gives_same_text() -> None:
    first, again, other = (
        generate_splits(seed=seed, n_train=50, n_dev=30, n_out_of_domain=20) for seed in (1, 1, 2)
    )
    assert first == again
    assert all(first[name] != other[name] for name in first)


def test_text_ignores_the_hash_seed() -> None:
    code = (
        "from lora_sweep.data.minimal_pairs.corpus import generate_splits;"
        "print(generate_splits(seed=1, n_train=40, n_dev=20, n_out_of_domain=20))"
    )
    printed = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={"PYTHONHASHSEED": hash_seed},
            capture_output=True,
            check=True,
            text=True,
        ).stdout
        for hash_seed in ("1", "2")
    }
    here = generate_splits(seed=1, n_train=40, n_dev=20, n_out_of_domain=20)
    assert printed == {f"{here}\n"}


def test_dev_parts_ignore_size_of_train(splits: Splits) -> None:
    small = generate_splits(seed=3, n_train=10, n_dev=500, n_out_of_domain=401)
    assert small["in_domain"] == splits["in_domain"]
    assert small["out_of_domain"] == splits["out_of_domain"]


@pytest.mark.parametrize("name", ["train", "in_domain", "out_of_domain"])
def test_seven_in_ten_are_acceptable(splits: Splits, name: str) -> None:
    n_acceptable = sum(judgement.acceptable for judgement in splits[name])
    assert abs(n_acceptable - 0.7 * len(splits[name])) <= 0.5


def test_no_sentence_occurs_twice(splits: Splits) -> None:
    counts = Counter(each.text for judgements in splits.values() for each in judgements)
    assert max(counts.values()) == 1


def test_labels_agree_across_seeds() -> None:
    labels: dict[str, set[bool]] = {}
    for name in PARADIGMS:
        for good, bad in _pairs(name, 200):
            labels.setdefault(good, set()).add(True)
            labels.setdefault(bad, set()).add(False)
    assert [text for text, both in labels.items() if len(both) == 2] == []


def test_paradigms_take_their_turns() -> None:
    # A round is 4 x 5 + 8 x 1 = 28 sentences; here are ten.
    judgements = generate_splits(seed=0, n_train=280, n_dev=1, n_out_of_domain=1)["train"]
    counts = Counter(judgement.paradigm for judgement in judgements)
    assert Counter(counts.values()) == {50: 4, 10: 8}
    assert counts["negative_polarity"] == 50
    assert len(KNOWN_PARADIGMS) >= 12
    assert set(counts) == set(KNOWN_PARADIGMS)


def test_half_out_of_domain_is_of_held_out_paradigms(splits: Splits) -> None:
    outside = Counter(
        judgement.paradigm in HELD_OUT_PARADIGMS for judgement in splits["out_of_domain"]
    )
    assert outside == {False: 201, True: 200}
    assert set(KNOWN_PARADIGMS).isdisjoint(HELD_OUT_PARADIGMS)
    assert len(HELD_OUT_PARADIGMS) >= 4


def test_both_labels_occur_in_each_paradigm(splits: Splits) -> None:
    for name in ("train", "in_domain"):
        seen = {(each.paradigm, each.acceptable) for each in splits[name]}
        assert seen == {
            (paradigm, label) for paradigm in KNOWN_PARADIGMS for label in (True, False)
        }


def test_splits_are_shuffled(splits: Splits) -> None:
    for judgements in splits.values():
        half = judgements[: len(judgements) // 2]
        assert 0.6 < sum(each.acceptable for each in half) / len(half) < 0.8
        assert len({each.paradigm for each in judgements[:60]}) > 8


def test_held_out_words_stay_outside(splits: Splits) -> None:
    known, held_out = content_words(held_out=False), content_words(held_out=True)
    assert known.isdisjoint(held_out)
    for name, forbidden in (
        ("train", held_out),
        ("in_domain", held_out),
        ("out_of_domain", known),
    ):
        # The first word is in lower case here, unless it is a name.
        texts = [each.text for each in splits[name]]
        words = {word for text in texts for word in _words(text[0].lower() + text[1:])}
        words |= {_words(text)[0] for text in texts}
        assert words & forbidden == set(), name


def test_each_list_has_words_on_both_sides() -> None:
    for held_out in (False, True):
        words = lexicon(held_out)
        assert min(len(nouns) for nouns in words.nouns.values()) >= 4
        assert min(len(verbs) for frame, verbs in words.verbs.items() if frame != "raising") >= 2
        assert words.verbs["raising"]
        assert min(len(names) for names in words.names.values()) >= 10


@pytest.mark.parametrize("paradigm", PARADIGMS)
@pytest.mark.parametrize("held_out", [False, True], ids=["known-words", "held-out-words"])
def test_pair_is_two_well_formed_sentences(paradigm: str, held_out: bool) -> None:
    for good, bad in _pairs(paradigm, held_out=held_out):
        assert good != bad
        for text in (good, bad):
            assert re.fullmatch(r"[A-Z][A-Za-z]*(,? [A-Za-z]+)+[.?]", text), text
            assert not re.search(r"\b[Aa] [aio]|\b[Aa]n (?!hour|hon|heir)[^aeiou]", text), text
            assert 3 <= len(text.split()) <= 30


@pytest.mark.parametrize("paradigm", PARADIGMS)
def test_paradigm_has_many_sentences(paradigm: str) -> None:
    assert len(set(_pairs(paradigm, 100))) >= 95


@pytest.mark.parametrize("paradigm", PARADIGMS)
def test_pair_differs_in_few_words(paradigm: str) -> None:
    for good, bad in _pairs(paradigm):
        ours, theirs = (Counter(_words(text.lower())) for text in (good, bad))
        if paradigm in _SAME_WORDS:
            assert ours == theirs
        assert ((ours - theirs) | (theirs - ours)).total() <= 8


@pytest.mark.parametrize("paradigm", PARADIGMS)
def test_no_word_gives_the_label_away(paradigm: str) -> None:
    # Sides of a differing word are coin tosses: 0.5 +- 0.25 is 5 standard deviations of 100.
    good, bad = Counter[str](), Counter[str]()
    for pair in _pairs(paradigm, 2000):
        ours, theirs = (Counter(_words(text.lower())) for text in pair)
        good.update(ours - theirs)
        bad.update(theirs - ours)
    for word in good | bad:
        if good[word] + bad[word] >= 100:
            assert 0.25 < good[word] / (good[word] + bad[word]) < 0.75, word


@pytest.mark.parametrize(
    ("ngrams", "bar"), [((1, 1), 0.2), ((1, 2), 0.6)], ids=["words", "word-pairs"]
)
def test_counts_of_words_hardly_help(splits: Splits, ngrams: tuple[int, int], bar: float) -> None:
    vectoriser = CountVectorizer(ngram_range=ngrams, token_pattern=r"[A-Za-z]+|[.?,]")
    x = vectoriser.fit_transform([each.text for each in splits["train"]])
    model = LogisticRegression(class_weight="balanced", solver="liblinear")
    model.fit(x, [each.acceptable for each in splits["train"]])
    for name in ("in_domain", "out_of_domain"):
        guesses = model.predict(vectoriser.transform([each.text for each in splits[name]]))
        mcc = matthews_corrcoef([each.acceptable for each in splits[name]], guesses)
        assert mcc < bar, name


@pytest.mark.parametrize(
    ("base", "forms"),
    [
        ("carry", "carries carried carried carrying"),
        ("annoy", "annoys annoyed annoyed annoying"),
        ("fix", "fixes fixed fixed fixing"),
        ("grab", "grabs grabbed grabbed grabbing"),
        ("admit", "admits admitted admitted admitting"),
        ("listen", "listens listened listened listening"),
        ("panic", "panics panicked panicked panicking"),
        ("agree", "agrees agreed agreed agreeing"),
        ("write", "writes wrote written writing"),
        ("swim", "swims swam swum swimming"),
        ("tiptoe", "tiptoes tiptoed tiptoed tiptoeing"),
        ("say", "says said said saying"),
    ],
    ids=lambda value: value.split()[0],
)
def test_verb_forms_match_the_grammar(base: str, forms: str) -> None:
    verb = (
        morphology.third_person(base),
        morphology.past(base),
        morphology.participle(base),
        morphology.ing(base),
    )
    assert " ".join(verb) == forms


@pytest.mark.parametrize(
    ("singular", "plural"),
    [
        ("boy", "boys"),
        ("spy", "spies"),
        ("witness", "witnesses"),
        ("policewoman", "policewomen"),
        ("child", "children"),
        ("sheep", "sheep"),
        ("wolf", "wolves"),
        ("watch", "watches"),
    ],
)
def test_plurals_match_the_grammar(singular: str, plural: str) -> None:
    assert morphology.plural(singular) == plural


@pytest.mark.parametrize(
    ("adjective", "comparative"),
    [
        ("tall", "taller"),
        ("brave", "braver"),
        ("happy", "happier"),
        ("odd", "odder"),
        ("sad", "sadder"),
        ("good", "better"),
        ("careful", None),
        ("tired", None),
        ("honest", None),
    ],
)
def test_comparatives_match_the_grammar(adjective: str, comparative: str | None) -> None:
    assert morphology.comparative(adjective) == comparative


@pytest.mark.parametrize(
    ("parts", "text"),
    [
        (("a", "honest clown", "", "left"), "An honest clown left."),
        (("a unicorn met", "a owl"), "A unicorn met an owl."),
        (("yesterday", ",", "Ann left"), "Yesterday, Ann left."),
    ],
    ids=["silent-h", "long-u", "comma"],
)
def test_sentence_is_spelt_well(parts: tuple[str, ...], text: str) -> None:
    assert sentence(*parts) == text


def test_names_agree_in_gender() -> None:
    draw = Draw(lexicon(held_out=False), random.Random(0))
    assert {draw.name("male").reflexive for _ in range(20)} == {"himself"}
    assert {draw.phrase("woman", plural=False).reflexive for _ in range(20)} == {"herself"}
    assert draw.phrase("person", plural=True).reflexive == "themselves"


@pytest.mark.parametrize("name", ["n_train", "n_dev", "n_out_of_domain"])
@pytest.mark.parametrize("size", [0, -1, 100_001])
def test_size_outside_its_range_is_refused(name: str, size: int) -> None:
    sizes = {"n_train": 1, "n_dev": 1, "n_out_of_domain": 1} | {name: size}
    with pytest.raises(CorpusError, match=rf"{name} must be within 1 and 100,000, but got {size}"):
        generate_splits(seed=0, **sizes)


def test_paradigm_without_new_pairs_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    endless = iter(range(10**9))

    def three_pairs(_: Draw) -> tuple[str, str]:
        number = next(endless) % 3
        return f"Good {number}.", f"Bad {number}."

    monkeypatch.setattr(minimal_pairs, "_ALL_PARADIGMS", dict.fromkeys(PARADIGMS, three_pairs))
    with pytest.raises(CorpusError, match=r"n_dev must be at most 3, .* but got 5"):
        generate_splits(seed=0, n_train=1, n_dev=5, n_out_of_domain=1)


@pytest.mark.slow
def test_largest_splits_can_be_drawn() -> None:
    large = generate_splits(seed=0, n_train=100_000, n_dev=20_000, n_out_of_domain=20_000)
    texts = {name: {each.text for each in judgements} for name, judgements in large.items()}
    assert [len(each) for each in texts.values()] == [100_000, 20_000, 20_000]
    assert all(first.isdisjoint(second) for first, second in combinations(texts.values(), 2))
