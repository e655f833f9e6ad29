"""Paradigms of what moves: questions, gaps, islands, relative clauses; and negative polarity.

Each returns an acceptable sentence and an unacceptable one. Where it can be done, both have the
very same words in another order.
"""

from lora_sweep.data.minimal_pairs.phrases import HUMAN_KINDS, Draw, joined, sentence

Pair = tuple[str, str]


def filler_gap(draw: Draw) -> Pair:
    """A question word leaves a gap, "that" leaves none."""
    frame = draw.object_frame()
    patient, verb = draw.object_of(frame), draw.verb(frame)
    surely = draw.sometimes(draw.adverb("sentence"), 0.3)
    start = joined(draw.human().text, surely, draw.verb("factive").past)
    clause = joined(draw.human().text, draw.adverb_or_none(0.3), verb.past)
    tail = draw.tail(0.6)
    with_gap, filled = joined(clause, tail), joined(clause, patient.text, tail)
    if draw.chance():
        asked = joined(start, patient.who_or_what)
        return sentence(asked, with_gap), sentence(asked, filled)
    return sentence(start, "that", filled), sentence(start, "that", with_gap)


def adjunct_island(draw: Draw) -> Pair:
    """A question word can't come out of an adverbial clause."""
    frame = draw.object_frame()
    patient, outer, inner = draw.object_of(frame), draw.verb(frame), draw.verb(frame)
    link = draw.pick(("before", "after", "because", "while", "when"))
    start = joined(patient.who_or_what, "did", draw.human().text, outer.base)
    clause = joined(link, draw.human().text, inner.past)
    return (
        sentence(start, clause, patient.text, mark="?"),
        sentence(start, patient.text, clause, mark="?"),
    )


def relative_island(draw: Draw) -> Pair:
    """A question word can't come out of a relative clause."""
    frame = draw.object_frame()
    patient, outer, inner = draw.object_of(frame), draw.verb(frame), draw.verb(frame)
    subject = draw.phrase(draw.pick(HUMAN_KINDS)).text
    start = joined(patient.who_or_what, "did", subject, draw.pick(("who", "that")), inner.past)
    tail = draw.tail(0.3)
    return (
        sentence(start, patient.text, outer.base, tail, mark="?"),
        sentence(start, outer.base, patient.text, tail, mark="?"),
    )


def noun_clause_island(draw: Draw) -> Pair:
    """A question word can't come out of the clause of a noun like "rumor"."""
    claim = draw.noun("news").singular
    patient, verb = draw.human().text, draw.verb("person").past
    start = joined("who did the", claim, "that", draw.human().text, verb)
    outer, tail = draw.verb("psych").base, draw.tail(0.3)
    return (
        sentence(start, patient, outer, tail, mark="?"),
        sentence(start, outer, patient, tail, mark="?"),
    )


def question_inversion(draw: Draw) -> Pair:
    """A question moves the auxiliary of the main clause, not that of a clause inside."""
    plural = draw.chance()
    subject = draw.phrase(draw.pick(HUMAN_KINDS), plural)
    forms = {
        draw.pick(("can", "will", "should", "must")): "base",
        draw.pick(("are", "were") if plural else ("is", "was")): "ing",
        draw.pick(("have" if plural else "has", "had")): "participle",
    }
    outer, inner = draw.shuffled(tuple(forms))[:2]
    inside = draw.intransitive() if draw.chance(0.6) else draw.transitive()
    inside_text, outside = inside.said(forms[inner]), draw.activity().said(forms[outer])
    start = joined(subject.text, draw.pick(("who", "that")))
    return (
        sentence(outer, start, inner, inside_text, outside, mark="?"),
        sentence(inner, start, inside_text, outer, outside, mark="?"),
    )


def embedded_question(draw: Draw) -> Pair:
    """A question inside a sentence keeps the order of a statement."""
    frame = draw.object_frame()
    patient, verb, subject = draw.object_of(frame), draw.verb(frame), draw.human()
    plural = subject.plural
    auxiliary, form = draw.pick(
        (
            ("have" if plural else "has", "participle"),
            ("are" if plural else "is", "ing"),
            ("will", "base"),
            ("can", "base"),
        )
    )
    word = patient.who_or_what
    end = joined(draw.adverb_or_none(0.4), getattr(verb, form), draw.tail(0.4))
    orders = joined(word, auxiliary, subject.text, end), joined(word, subject.text, auxiliary, end)
    if draw.chance():
        return sentence(orders[0], mark="?"), sentence(orders[1], mark="?")
    surely = draw.sometimes(draw.adverb("sentence"), 0.3)
    start = joined(draw.human().text, surely, draw.verb("factive").past)
    return sentence(start, orders[1]), sentence(start, orders[0])


def relative_pronoun(draw: Draw) -> Pair:
    """A relative clause starts with "who" for people and "which" for things."""
    frame = "person" if draw.chance() else draw.pick(("device", "text", "food"))
    kind = draw.pick(HUMAN_KINDS) if frame == "person" else frame
    right, wrong = ("who", "which") if frame == "person" else ("which", "who")
    head, verb = draw.phrase(kind), draw.verb(frame)
    clause = joined(draw.human().text, draw.adverb_or_none(0.3), verb.past)
    be = draw.pick(("are", "were") if head.plural else ("is", "was"))
    end = joined(clause, draw.tail(0.3), be, draw.adverb_or_none(0.3), draw.adjective(kind).base)
    if draw.chance(0.4):
        outer = draw.verb(frame).past
        start = joined(draw.human().text, outer, head.text)
        return sentence(start, right, clause), sentence(start, wrong, clause)
    return sentence(head.text, right, end), sentence(head.text, wrong, end)


def negative_polarity(draw: Draw) -> Pair:
    """A word like "ever" needs a negation above it, not just before it."""
    head, other = draw.noun(draw.pick(HUMAN_KINDS)), draw.noun(draw.pick(HUMAN_KINDS))
    link = draw.pick(("who", "that"))
    end = joined("has ever", draw.activity().said("participle"))
    if draw.chance():
        verb = draw.verb("person").past
        return (
            sentence("no", head.singular, link, "the", other.singular, verb, end),
            sentence("the", head.singular, link, "no", other.singular, verb, end),
        )
    verb = draw.verb("say").past
    adjective = draw.sometimes(draw.adjective("person").base, 0.4)
    return (
        sentence("the", adjective, head.singular, verb, "that no", other.singular, end),
        sentence("the", adjective, head.singular, "that no", other.singular, verb, end),
    )
