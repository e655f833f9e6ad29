"""Paradigms of agreement: verbs, reflexives, determiners, quantifiers.

Each returns an acceptable sentence and an unacceptable one that differs as little as possible. The
words that differ are as often right as wrong, so that no word gives the answer away.
"""

from lora_sweep.data.minimal_pairs.phrases import HUMAN_KINDS, Draw, Phrase, joined, sentence

Pair = tuple[str, str]

_SPATIAL = ("near", "behind", "beside", "next to", "in front of")


def agreement_across_phrase(draw: Draw) -> Pair:
    """A verb agrees with the head of its subject, not with the nearest noun."""
    kind = draw.pick((*HUMAN_KINDS, "device", "text", "food"))
    head = draw.phrase(kind)
    near = draw.phrase(draw.pick(("person", "animal", "device")))
    predicate = _predicate(draw, kind)
    # At times with nothing between, so that the rule can be seen before it has to be generalised.
    start = joined(head.text, draw.sometimes(f"{draw.pick(_SPATIAL)} {near.text}", 0.6))
    return _by_number(start, predicate, head.plural)


def agreement_across_relative(draw: Draw) -> Pair:
    """A verb agrees with the head of its subject, across a relative clause."""
    head = draw.phrase(draw.pick(HUMAN_KINDS))
    other = draw.phrase(draw.pick(HUMAN_KINDS))
    verb = draw.verb("person")
    if draw.chance():
        clause = joined(other.text, verb.present(other.plural))
    else:
        clause = joined(verb.present(head.plural), other.text)
    start = joined(head.text, draw.pick(("who", "that")), clause)
    return _by_number(start, _predicate(draw, "person"), head.plural)


def reflexive_locality(draw: Draw) -> Pair:
    """A reflexive is bound in its own clause, not from the clause above."""
    outer, inner = _two_binders(draw)
    verb = draw.verb("say")
    start = joined(
        outer.text,
        draw.pick((verb.past, verb.present(outer.plural))),
        "that",
        inner.text,
        draw.adverb_or_none(0.3),
        draw.verb("reflexive").past,
    )
    tail = draw.tail(0.3)
    return sentence(start, inner.reflexive, tail), sentence(start, outer.reflexive, tail)


def reflexive_agreement(draw: Draw) -> Pair:
    """A reflexive agrees with the whole subject, not with a noun inside of it."""
    head, near = _two_binders(draw, names=0)
    link = draw.pick(_SPATIAL)
    if draw.chance():
        link = joined(draw.pick(("who", "that")), draw.verb("person").past)
    start = joined(head.text, link, near.text, draw.adverb_or_none(0.3))
    start = joined(start, draw.verb("reflexive").past)
    tail = draw.tail(0.3)
    return sentence(start, head.reflexive, tail), sentence(start, near.reflexive, tail)


def reciprocal_number(draw: Draw) -> Pair:
    """The antecedent of "each other" is a plural, and the whole subject."""
    head, near = draw.noun(draw.pick(HUMAN_KINDS)), draw.noun(draw.pick(HUMAN_KINDS))
    link = draw.pick(_SPATIAL)
    if draw.chance():
        link = f"who {draw.verb('person').past}"
    end = joined(draw.adverb_or_none(0.3), draw.verb("reflexive").past, "each other", draw.tail())
    near_adjective = draw.sometimes(draw.adjective("person").base, 0.3)
    return (
        sentence("the", head.plural, link, "the", near_adjective, near.singular, end),
        sentence("the", head.singular, link, "the", near_adjective, near.plural, end),
    )


def determiner_number(draw: Draw) -> Pair:
    """A determiner goes with nouns in its own number."""
    plural = draw.chance()
    determiner = draw.pick(
        ("these", "those", "many", "several", "both", "various")
        if plural
        else ("this", "that", "every", "each", "another", "one")
    )
    frame = draw.object_frame()
    noun = draw.pick([noun for noun in draw.words.nouns[frame] if noun.plural != noun.singular])
    forms = (noun.plural, noun.singular) if plural else (noun.singular, noun.plural)
    modifiers = joined(*(draw.sometimes(draw.adjective(frame).base, p) for p in (0.4, 0.1)))
    start = joined(draw.human().text, draw.adverb_or_none(0.3), draw.verb(frame).past)
    tail = draw.tail(0.5)
    good, bad = (sentence(start, determiner, modifiers, form, tail) for form in forms)
    return good, bad


def mass_quantifier(draw: Draw) -> Pair:
    """Some quantifiers go with what is counted, others with what is measured."""
    counted = draw.chance()
    quantifiers = draw.pick(
        (("many", "much"), ("so many", "so much"), ("too many", "too much"), ("a few", "a little"))
    )
    verb = draw.verb("mass").past
    noun = draw.noun("device").plural if counted else draw.noun("mass").singular
    adjective = draw.sometimes(draw.adjective("device").base, 0.3) if counted else ""
    start = joined(draw.human().text, draw.sometimes(draw.adverb("sentence"), 0.4), verb)
    end = joined(adjective, noun, draw.tail(0.6))
    good, bad = quantifiers if counted else quantifiers[::-1]
    return sentence(start, good, end), sentence(start, bad, end)


def existential_quantifier(draw: Draw) -> Pair:
    """After "there is" stand weak quantifiers, after "almost" strong ones."""
    plural = draw.chance()
    weak = draw.pick(("some", "several", "many") if plural else ("a", "one"))
    strong = "all" if plural else "every"
    kind = draw.pick(("person", "animal", "device"))
    noun = draw.phrase(kind, plural, determiner="the", adjectives=0.5).text.removeprefix("the ")
    place = draw.pick(draw.words.places)
    if draw.chance():
        verb = draw.pick(("are", "were") if plural else ("is", "was"))
        adverb = draw.adverb_or_none(0.3)
        start, end = joined("there", verb, adverb), place
        return sentence(start, weak, noun, end), sentence(start, strong, noun, end)
    start = draw.pick(("almost", "nearly"))
    end = joined(place, _predicate(draw, kind)[plural])
    return sentence(start, strong, noun, end), sentence(start, weak, noun, end)


def _by_number(start: str, predicate: Pair, plural: bool) -> Pair:
    return sentence(start, predicate[plural]), sentence(start, predicate[not plural])


def _predicate(draw: Draw, kind: str) -> Pair:
    """Returns a predicate as it goes with a singular and with a plural."""
    adverb = draw.adverb_or_none(0.3)
    be = draw.pick((("is", "are"), ("was", "were")))
    if kind not in HUMAN_KINDS or draw.chance(0.25):
        end = joined(adverb, draw.sometimes("very", 0.2), draw.adjective(kind).base)
        return joined(be[0], end), joined(be[1], end)
    activity = draw.activity()
    match draw.pick(("present", "present", "progressive", "perfect")):
        case "present":
            return joined(adverb, activity.said("third")), joined(adverb, activity.said("base"))
        case "progressive":
            end = joined(adverb, activity.said("ing"))
            return joined(be[0], end), joined(be[1], end)
    end = joined(adverb, activity.said("participle"))
    return joined("has", end), joined("have", end)


def _two_binders(draw: Draw, names: float = 0.4) -> tuple[Phrase, Phrase]:
    """Returns two noun phrases for people that bind different reflexives."""
    kinds = [("man", False), ("woman", False), ("person", True)]
    first, second = draw.shuffled(kinds)[:2]
    return _binder(draw, *first, names), _binder(draw, *second, 0.4)


def _binder(draw: Draw, kind: str, plural: bool, names: float) -> Phrase:
    if plural:
        return draw.phrase(draw.pick(HUMAN_KINDS), plural=True)
    if draw.chance(names):
        return draw.name("male" if kind == "man" else "female")
    return draw.phrase(kind, plural=False)
