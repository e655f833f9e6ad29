"""Random phrases of English from a lexicon: noun phrases, predicates, adverbials, sentences.

All chance comes from `random.Random.random`, whose numbers Python promises to keep the same across
versions (it does not for `choice` or `shuffle`).
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from lora_sweep.data.minimal_pairs.lexicon import Adjective, Lexicon, Noun, Verb
from lora_sweep.data.minimal_pairs.morphology import indefinite_article

T = TypeVar("T")

_SINGULAR = ("the", "the", "the", "the", "a", "a", "my", "this")
_PLURAL = ("the", "the", "the", "the", "some", "some", "these", "those", "two", "three")
ORNAMENT = 0.4
"""Share of the optional words that is kept; short sentences let a small corpus teach more."""
HUMAN_KINDS = ("person", "person", "person", "man", "woman")


@dataclass(frozen=True)
class Phrase:
    """A noun phrase.

    Attributes:
        text: its words.
        plural: True where a verb in the plural goes with it.
        gender: "male" or "female"; None where the noun leaves it open, or for things.
        kind: kind of its noun; "man" or "woman" for a name.
    """

    text: str
    plural: bool
    gender: str | None
    kind: str

    @property
    def reflexive(self) -> str:
        """The reflexive that it binds."""
        if self.plural:
            return "themselves"
        return {"male": "himself", "female": "herself", None: "itself"}[self.gender]

    @property
    def who_or_what(self) -> str:
        """The question word that asks for it."""
        return "who" if self.kind in HUMAN_KINDS else "what"


@dataclass(frozen=True)
class Activity:
    """A verb with what follows it.

    Attributes:
        verb: the verb.
        rest: its object or adverbial; may be empty.
    """

    verb: Verb
    rest: str

    def said(self, form: str) -> str:
        """Returns verb and rest, with the verb in the form of that name."""
        return f"{getattr(self.verb, form)} {self.rest}".strip()


class Draw:
    """Draws words and phrases at random.

    Args:
        words: the words to draw from.
        generator: where chance comes from.
    """

    def __init__(self, words: Lexicon, generator: random.Random) -> None:
        self.words = words
        self._generator = generator

    def pick(self, options: Sequence[T]) -> T:
        """Returns one of the options, each as likely."""
        return options[int(self._generator.random() * len(options))]

    def chance(self, probability: float = 0.5) -> bool:
        """True with that probability."""
        return self._generator.random() < probability

    def sometimes(self, text: str, probability: float = 0.5) -> str:
        """Returns the text with that probability times `ORNAMENT`, else nothing."""
        return text if self.chance(ORNAMENT * probability) else ""

    def shuffled(self, items: Sequence[T]) -> list[T]:
        """Returns the items in a random order."""
        return sorted(items, key=lambda _: self._generator.random())

    def noun(self, kind: str) -> Noun:
        """Returns a noun of that kind."""
        return self.pick(self.words.nouns[kind])

    def verb(self, frame: str) -> Verb:
        """Returns a verb of that frame."""
        return self.pick(self.words.verbs[frame])

    def adjective(self, kind: str) -> Adjective:
        """Returns an adjective that goes with nouns of that kind."""
        use = "human" if kind in HUMAN_KINDS else "thing"
        return self.pick(self.words.adjectives[use])

    def adverb(self, use: str = "") -> str:
        """Returns an adverb of that use; empty for any that fits before a verb."""
        return self.pick(self.words.adverbs[use or self.pick(("sentence", "frequency"))])

    def adverb_or_none(self, probability: float = 0.5) -> str:
        """Returns an adverb that fits before a verb with that probability, else nothing."""
        return self.sometimes(self.adverb(), probability)

    def name(self, gender: str | None = None) -> Phrase:
        """Returns a first name."""
        gender = gender or self.pick(("male", "female"))
        kind = "man" if gender == "male" else "woman"
        return Phrase(self.pick(self.words.names[gender]), False, gender, kind)

    def phrase(
        self, kind: str, plural: bool | None = None, determiner: str = "", adjectives: float = 0.3
    ) -> Phrase:
        """Returns determiner, adjective at times, and noun.

        Args:
            kind: kind of the noun.
            plural: its number; None for either.
            determiner: the one to use; empty for any.
            adjectives: probability of an adjective.
        """
        plural = self.chance() if plural is None else plural
        noun = self.noun(kind)
        determiner = determiner or self.pick(_PLURAL if plural else _SINGULAR)
        adjective = self.sometimes(self.adjective(kind).base, adjectives)
        head = noun.plural if plural else noun.singular
        return Phrase(joined(determiner, adjective, head), plural, noun.gender, kind)

    def human(self, plural: bool | None = None, names: float = 0.2) -> Phrase:
        """Returns a noun phrase for people, or a first name with the given probability."""
        if plural is not True and self.chance(names):
            return self.name()
        return self.phrase(self.pick(HUMAN_KINDS), plural)

    def object_of(self, frame: str) -> Phrase:
        """Returns an object for verbs of a frame: "person", "irregular_text", ..."""
        kind = frame.removeprefix("irregular_")
        return self.human() if kind == "person" else self.phrase(kind)

    def object_frame(self) -> str:
        """Returns the name of a frame of verbs with an object."""
        return self.pick(("person", "person", "animal", "device", "device", "text", "food"))

    def transitive(self) -> Activity:
        """Returns a verb with an object."""
        frame = self.object_frame()
        patient = self.object_of(frame).text
        return Activity(self.verb(frame), joined(patient, self.tail(0.2)))

    def intransitive(self) -> Activity:
        """Returns a verb without an object, with an adverbial at times."""
        how = self.adverb("manner") if self.chance(0.4) else self.adverbial()
        return Activity(self.verb("intransitive"), self.sometimes(how, 0.5))

    def activity(self) -> Activity:
        """Returns what somebody does."""
        return self.transitive() if self.chance(0.6) else self.intransitive()

    def adverbial(self) -> str:
        """Returns where or when something happens, in words that go with any tense."""
        if self.chance(0.6):
            return self.pick(self.words.places)
        return f"{self.pick(('during', 'before', 'after'))} the {self.noun('event').singular}"

    def tail(self, probability: float = 0.4) -> str:
        """Returns an adverbial with that probability, else nothing."""
        return self.sometimes(self.adverbial(), probability)


def joined(*parts: str) -> str:
    """Returns the parts that are not empty, with a space between."""
    return " ".join(part for part in parts if part)


def sentence(*parts: str, mark: str = ".") -> str:
    """Returns the parts as a sentence: "a" or "an", a capital, a mark at its end."""
    words = joined(*parts).replace(" ,", ",").split(" ")
    for position, word in enumerate(words[:-1]):
        if word == "a":
            words[position] = indefinite_article(words[position + 1])
    text = " ".join(words)
    return text[0].upper() + text[1:] + mark
