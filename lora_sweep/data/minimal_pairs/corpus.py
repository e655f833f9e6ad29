"""The embedded corpus: generated judgements of which sentences are acceptable English.

A paradigm draws a pair of sentences that differ as little as possible, one acceptable and one not;
the corpus keeps one sentence of each pair, so that the other one can't give it away:

    acceptable share = 0.7, in each split
    train, in_domain: known paradigms, known words
    out_of_domain:    half known, half held-out paradigms; held-out words

A sentence is in one split at most, once, with one label. The two dev parts stay the same whatever
`n_train` is.
"""

import hashlib
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import cycle, islice

from lora_sweep.data.minimal_pairs import agreement_paradigms as agreement
from lora_sweep.data.minimal_pairs import clause_paradigms as clauses
from lora_sweep.data.minimal_pairs import movement_paradigms as movement
from lora_sweep.data.minimal_pairs import verb_paradigms as verbs
from lora_sweep.data.minimal_pairs.lexicon import lexicon
from lora_sweep.data.minimal_pairs.phrases import Draw
from lora_sweep.errors import CorpusError

VERSION: int = 1
"""Number of the generated text: it rises whenever the text of a seed changes."""

ACCEPTABLE_SHARE = 0.7
MAX_SENTENCES = 100_000
"""Most sentences of a split."""

Paradigm = Callable[[Draw], tuple[str, str]]

KNOWN_PARADIGMS: dict[str, Paradigm] = {
    paradigm.__name__: paradigm
    for paradigm in (
        agreement.determiner_number,
        agreement.existential_quantifier,
        agreement.reflexive_agreement,
        verbs.auxiliary_form,
        verbs.irregular_participle,
        verbs.passive_voice,
        verbs.transitivity,
        movement.adjunct_island,
        movement.filler_gap,
        movement.negative_polarity,
        movement.question_inversion,
        movement.relative_island,
    )
}
HELD_OUT_PARADIGMS: dict[str, Paradigm] = {
    paradigm.__name__: paradigm
    for paradigm in (
        agreement.agreement_across_phrase,
        agreement.agreement_across_relative,
        agreement.mass_quantifier,
        agreement.reciprocal_number,
        agreement.reflexive_locality,
        verbs.clause_complement,
        verbs.dative,
        verbs.infinitive_or_gerund,
        verbs.raising,
        verbs.tense_adverbial,
        movement.embedded_question,
        movement.noun_clause_island,
        movement.relative_pronoun,
        clauses.comparative,
        clauses.ellipsis_auxiliary,
        clauses.paired_conjunction,
        clauses.pronoun_case,
    )
}
_OFTEN = ("auxiliary_form", "existential_quantifier", "negative_polarity", "question_inversion")
"""Paradigms learnt from a few hundred sentences: more turns let a small corpus show something."""
_TURNS_OF_OFTEN = 5
_ALL_PARADIGMS = KNOWN_PARADIGMS | HELD_OUT_PARADIGMS
PARADIGMS: tuple[str, ...] = tuple(_ALL_PARADIGMS)
"""Names of all paradigms, the held-out ones last."""

# So many pairs in a row that were all there before mean that a paradigm has no new ones.
_MAX_TRIES = 1000


@dataclass(frozen=True)
class Judgement:
    """A sentence with its judgement.

    Attributes:
        text: the sentence, with a capital and a final mark.
        acceptable: True for a sentence of English.
        paradigm: name of the paradigm it was drawn from.
    """

    text: str
    acceptable: bool
    paradigm: str


def generate_splits(
    *, seed: int, n_train: int, n_dev: int, n_out_of_domain: int
) -> dict[str, list[Judgement]]:
    """Returns the splits "train", "in_domain" and "out_of_domain", in that order, each shuffled.

    Args:
        seed: fixes all sentences, on any machine; any integer.
        n_train: sentences of "train", 1 to 100,000.
        n_dev: sentences of "in_domain", 1 to 100,000.
        n_out_of_domain: sentences of "out_of_domain", 1 to 100,000.

    Raises:
        CorpusError: a number outside its range, or more than there are distinct sentences.
    """
    sizes = {"n_train": n_train, "n_dev": n_dev, "n_out_of_domain": n_out_of_domain}
    for name, size in sizes.items():
        if not 1 <= size <= MAX_SENTENCES:
            raise CorpusError(f"{name} must be within 1 and {MAX_SENTENCES:,}, but got {size}")
    known, held_out = tuple(KNOWN_PARADIGMS), tuple(HELD_OUT_PARADIGMS)
    n_held_out = n_out_of_domain // 2
    outside = (*_turns(known, n_out_of_domain - n_held_out), *_turns(held_out, n_held_out))
    seen: set[str] = set()

    # Dev comes before train, so that it doesn't depend on how large train is.
    in_domain = _split("n_dev", _turns(known, n_dev), _draw("in_domain", seed), seen)
    train = _split("n_train", _turns(known, n_train), _draw("train", seed), seen)
    out_of_domain = _split("n_out_of_domain", outside, _draw("out_of_domain", seed), seen)
    return {"train": train, "in_domain": in_domain, "out_of_domain": out_of_domain}


def _turns(paradigms: Sequence[str], n: int) -> tuple[str, ...]:
    """Returns names of paradigms that take turns, n in all, some of them more than one a round."""
    rounds = [
        name for i in range(_TURNS_OF_OFTEN) for name in paradigms if i == 0 or name in _OFTEN
    ]
    return tuple(islice(cycle(rounds), n))


def _draw(split: str, seed: int) -> Draw:
    """Returns the source of a split's phrases; Python's own hash would differ between runs."""
    digest = hashlib.sha256(f"{split} {seed}".encode()).digest()
    generator = random.Random(int.from_bytes(digest[:8], "big"))
    return Draw(lexicon(held_out=split == "out_of_domain"), generator)


def _split(
    size_name: str, paradigms: Sequence[str], draw: Draw, seen: set[str]
) -> list[Judgement]:
    """Returns a judgement for each named paradigm, shuffled; adds the sentences to `seen`."""
    n = len(paradigms)
    n_acceptable = round(ACCEPTABLE_SHARE * n)
    labels = draw.shuffled([True] * n_acceptable + [False] * (n - n_acceptable))
    judgements: list[Judgement] = []
    for name, acceptable in zip(paradigms, labels, strict=True):
        pair = _new_pair(_ALL_PARADIGMS[name], draw, seen)
        if pair is None:
            rule = f"must be at most {len(judgements)}, the number of distinct sentences found"
            raise CorpusError(f"{size_name} {rule}, but got {n}")
        seen.update(pair)
        judgements.append(Judgement(pair[0] if acceptable else pair[1], acceptable, name))
    return draw.shuffled(judgements)


def _new_pair(paradigm: Paradigm, draw: Draw, seen: set[str]) -> tuple[str, str] | None:
    """Returns a pair of which neither sentence was seen; None where no more can be found."""
    for _ in range(_MAX_TRIES):
        good, bad = paradigm(draw)
        if good != bad and good not in seen and bad not in seen:
            return good, bad
    return None
