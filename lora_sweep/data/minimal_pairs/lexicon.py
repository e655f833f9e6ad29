"""The embedded corpus's words with their forms, in two halves that share no word.

A word is held out by a checksum of its base form, so that it is on the same side in every list it
stands in: about two thirds of the content words are known, one third is held out.
"""

import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

from lora_sweep.data.minimal_pairs import morphology
from lora_sweep.data.minimal_pairs.nouns import NAMES, NOUNS, PLACES
from lora_sweep.data.minimal_pairs.verbs import ADJECTIVES, ADVERBS, VERBS

_HELD_OUT_PERCENT = 33
# One of the few salts that leave each list, the short ones too, with words on both sides.
_SALT = 13655


@dataclass(frozen=True)
class Noun:
    """A noun with its forms; `plural` is empty for a mass noun."""

    singular: str
    plural: str
    kind: str

    @property
    def gender(self) -> str | None:
        """The gender that a reflexive shows; None where the noun leaves it open."""
        return {"man": "male", "woman": "female"}.get(self.kind)


@dataclass(frozen=True)
class Verb:
    """A verb with its forms."""

    base: str
    third: str
    past: str
    participle: str
    ing: str

    def present(self, plural: bool) -> str:
        """Returns the present form that agrees with a subject of that number."""
        return self.base if plural else self.third


@dataclass(frozen=True)
class Adjective:
    """An adjective with its comparative, "more ..." where it has no form of its own."""

    base: str
    comparative: str


@dataclass(frozen=True)
class Lexicon:
    """Words by kind (nouns), by frame (verbs) or by use (adjectives, adverbs).

    Attributes:
        nouns: kind -> nouns.
        verbs: frame -> verbs.
        adjectives: "human" or "thing" -> adjectives.
        adverbs: "manner", "sentence" or "frequency" -> adverbs; never held out.
        names: "male" or "female" -> first names.
        places: preposition and place, "in the garden".
    """

    nouns: dict[str, tuple[Noun, ...]]
    verbs: dict[str, tuple[Verb, ...]]
    adjectives: dict[str, tuple[Adjective, ...]]
    adverbs: dict[str, tuple[str, ...]]
    names: dict[str, tuple[str, ...]]
    places: tuple[str, ...]


def is_held_out(base_form: str) -> bool:
    """True for a content word that only occurs out of domain."""
    return zlib.crc32(f"{_SALT}{base_form}".encode()) % 100 < _HELD_OUT_PERCENT


@cache
def lexicon(held_out: bool) -> Lexicon:
    """Returns the known words, or the held-out ones."""

    def side(words: Iterable[str]) -> list[str]:
        return [word for word in words if is_held_out(word) == held_out]

    return Lexicon(
        nouns={
            kind: tuple(_noun(word, kind) for word in side(words)) for kind, words in NOUNS.items()
        },
        verbs={frame: tuple(map(_verb, side(words))) for frame, words in VERBS.items()},
        adjectives={use: tuple(map(_adjective, side(words))) for use, words in ADJECTIVES.items()},
        adverbs=ADVERBS,
        names={gender: tuple(side(words)) for gender, words in NAMES.items()},
        places=tuple(
            f"{preposition} the {place}"
            for preposition, places in PLACES.items()
            for place in side(places)
        ),
    )


def content_words(held_out: bool) -> frozenset[str]:
    """Returns every form of the known content words, or of the held-out ones."""
    words = lexicon(held_out)
    forms = {word for nouns in words.nouns.values() for noun in nouns for word in _forms(noun)}
    forms |= {word for verbs in words.verbs.values() for verb in verbs for word in _forms(verb)}
    forms |= {each.base for group in words.adjectives.values() for each in group}
    forms |= {name for names in words.names.values() for name in names}
    return frozenset(forms | {place.split()[-1] for place in words.places})


def _noun(word: str, kind: str) -> Noun:
    return Noun(word, "" if kind == "mass" else morphology.plural(word), kind)


def _verb(base: str) -> Verb:
    return Verb(
        base,
        morphology.third_person(base),
        morphology.past(base),
        morphology.participle(base),
        morphology.ing(base),
    )


def _adjective(base: str) -> Adjective:
    return Adjective(base, morphology.comparative(base) or f"more {base}")


def _forms(word: Noun | Verb) -> set[str]:
    if isinstance(word, Noun):
        return {word.singular, word.plural} - {""}
    return {word.base, word.third, word.past, word.participle, word.ing}
