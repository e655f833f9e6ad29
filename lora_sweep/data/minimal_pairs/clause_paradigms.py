"""Paradigms of clauses side by side: coordination, ellipsis, comparison; and the case of pronouns.

Each returns an acceptable sentence and an unacceptable one that differs as little as possible. The
words that differ are as often right as wrong, so that no word gives the answer away.
"""

from lora_sweep.data.minimal_pairs.phrases import HUMAN_KINDS, Draw, Phrase, joined, sentence

Pair = tuple[str, str]

_CASES = (("he", "him"), ("she", "her"), ("they", "them"), ("we", "us"), ("I", "me"))


def ellipsis_auxiliary(draw: Draw) -> Pair:
    """The auxiliary that stands for a left-out predicate fits that predicate."""
    first, second = draw.human(), draw.human()
    adverb, ending = draw.adverb_or_none(0.3), draw.pick(("too", "as well"))
    is_verb = draw.chance()
    if is_verb:
        predicate = joined(adverb, draw.activity().said("past"))
    else:
        predicate = joined(_was(first), adverb, draw.adjective("person").base)
    right, wrong = ("did", _was(second)) if is_verb else (_was(second), "did")
    start = joined(first.text, predicate, ", and")
    if draw.chance():
        start = joined(start, "so")
        return sentence(start, right, second.text), sentence(start, wrong, second.text)
    start = joined(start, second.text)
    return sentence(start, right, ending), sentence(start, wrong, ending)


def paired_conjunction(draw: Draw) -> Pair:
    """The word "both" goes with "and", "either" with "or", "neither" with "nor"."""
    pairs = {"both": "and", "either": "or", "neither": "nor"}
    first = draw.pick(tuple(pairs))
    wrong = draw.pick([word for word in pairs.values() if word != pairs[first]])
    subject = draw.chance()
    phrases = [_definite(draw), _definite(draw)]
    if subject:
        start, end = first, draw.activity().said("past")
    else:
        start = joined(
            draw.human().text, draw.adverb_or_none(0.3), draw.verb("person").past, first
        )
        end = draw.tail(0.4)
    return (
        sentence(start, phrases[0], pairs[first], phrases[1], end),
        sentence(start, phrases[0], wrong, phrases[1], end),
    )


def comparative(draw: Draw) -> Pair:
    """A comparative goes with "than", "as" with a second "as"."""
    kind = draw.pick(("person", "device"))
    first = draw.human() if kind == "person" else draw.phrase(kind)
    second = draw.human() if kind == "person" else draw.phrase(kind)
    adjective, adverb = draw.adjective(kind), draw.adverb_or_none(0.4)
    is_equal = draw.chance()
    degree = f"as {adjective.base}" if is_equal else adjective.comparative
    start = joined(first.text, _was(first), adverb, degree)
    good, bad = ("as", "than") if is_equal else ("than", "as")
    return sentence(start, good, second.text), sentence(start, bad, second.text)


def pronoun_case(draw: Draw) -> Pair:
    """A pronoun that is a subject has another form than one that is an object."""
    pronoun = draw.pick(_CASES)
    other, tail = draw.human(), draw.tail(0.5)
    outer = joined(draw.human().text, draw.adverb_or_none(0.3), draw.verb("say").past, "that")
    adverb, verb = draw.adverb_or_none(0.4), draw.verb("person").past
    is_subject = draw.chance()
    good, bad = pronoun if is_subject else pronoun[::-1]
    if is_subject:
        end = joined(adverb, verb, draw.human().text, tail)
        start = joined(outer, draw.sometimes(f"{other.text} and", 0.5))
    else:
        start = joined(outer, other.text, adverb, verb)
        start = joined(start, draw.sometimes(f"{draw.human().text} and", 0.5))
        end = tail
    return sentence(start, good, end), sentence(start, bad, end)


def _definite(draw: Draw) -> str:
    """Returns people that "both" or "neither" can stand before."""
    if draw.chance(0.2):
        return draw.name().text
    return draw.phrase(draw.pick(HUMAN_KINDS), determiner=draw.pick(("the", "my"))).text


def _was(subject: Phrase) -> str:
    return "were" if subject.plural else "was"
