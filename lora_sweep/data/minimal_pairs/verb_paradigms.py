"""Paradigms of verbs: their forms, voice, objects, complements and times.

Each returns an acceptable sentence and an unacceptable one that differs as little as possible. The
words that differ are as often right as wrong, so that no word gives the answer away.
"""

from lora_sweep.data.minimal_pairs.phrases import Draw, Phrase, joined, sentence

Pair = tuple[str, str]

_MODALS = ("will", "can", "should", "must", "might", "would", "could")
_OBJECT_KINDS = ("person", "animal", "device", "text", "food")


def auxiliary_form(draw: Draw) -> Pair:
    """Each auxiliary asks for one form of the verb after it."""
    subject, activity = draw.human(), draw.activity()
    forms = draw.shuffled(("participle", "ing", "base"))
    words = [activity.said(form) for form in forms]
    start = joined(subject.text, _auxiliary(draw, forms[0], subject), draw.adverb_or_none(0.25))
    return sentence(start, words[0]), sentence(start, words[1])


def irregular_participle(draw: Draw) -> Pair:
    """The simple past and the participle of an irregular verb are not the same."""
    frame = f"irregular_{draw.pick(_OBJECT_KINDS)}"
    subject, verb, patient = draw.human(), draw.verb(frame), draw.object_of(frame)
    adverb, tail = draw.adverb_or_none(0.25), draw.tail(0.4)
    pick = draw.pick(("past", "past", "perfect", "passive"))
    if pick == "passive":
        start = joined(patient.text, "were" if patient.plural else "was", adverb)
        end = joined("by", subject.text)
    else:
        start = joined(subject.text, "had" if pick == "perfect" else "", adverb)
        end = joined(patient.text, tail)
    past, participle = sentence(start, verb.past, end), sentence(start, verb.participle, end)
    return (past, participle) if pick == "past" else (participle, past)


def transitivity(draw: Draw) -> Pair:
    """Some verbs ask for an object, others allow none."""
    frame = draw.object_frame()
    verbs = [draw.verb(frame), draw.verb("intransitive")]
    patient = draw.object_of(frame).text
    subject, adverb = draw.human(), draw.adverb_or_none(0.25)
    # Not "was frightening": without an object that's an adjective.
    is_action = frame not in ("person", "animal")
    form = draw.pick(("past", "participle", "ing") if is_action else ("past", "participle"))
    auxiliary = "" if form == "past" else _auxiliary(draw, form, subject)
    start = joined(subject.text, auxiliary, adverb)
    good, bad = (getattr(verb, form) for verb in verbs)
    if draw.chance():
        end = joined(patient, draw.tail(0.5))
        return sentence(start, good, end), sentence(start, bad, end)
    end = draw.adverbial()
    return sentence(start, bad, end), sentence(start, good, end)


def dative(draw: Draw) -> Pair:
    """Verbs of giving differ in how they take what is given and who gets it."""
    frames = draw.pick(
        (
            ("double_object", "to_goal"),
            ("to_goal", "with_object"),
            ("with_object", "double_object"),
        )
    )
    gift = draw.phrase("text").text
    receiver = draw.human().text
    ends = {
        "double_object": joined(receiver, gift),
        "to_goal": joined(gift, "to", receiver),
        "with_object": joined(receiver, "with", gift),
    }
    start = joined(draw.human().text, draw.adverb_or_none(0.4))
    good, bad = (draw.verb(frame).past for frame in frames)
    end = joined(ends[frames[0]], draw.tail(0.3))
    return sentence(start, good, end), sentence(start, bad, end)


def passive_voice(draw: Draw) -> Pair:
    """The agent of a passive stands after "by", the agent of a perfect before the verb."""
    frame = draw.object_frame()
    agent, patient, verb = draw.human(), draw.object_of(frame), draw.verb(frame)
    adverb, tail = draw.adverb_or_none(0.25), draw.tail(0.4)
    is_passive = draw.chance()
    subject = patient if is_passive else agent
    be, have = _agreeing(draw, subject)
    end = joined("by", agent.text) if is_passive else patient.text
    end = joined(adverb, verb.participle, end, tail)
    good, bad = (be, have) if is_passive else (have, be)
    return sentence(subject.text, good, end), sentence(subject.text, bad, end)


def clause_complement(draw: Draw) -> Pair:
    """Some verbs take a statement as their complement, others a question."""
    frames = draw.shuffled(("that", "whether"))
    good, bad = (draw.verb(frame).past for frame in frames)
    inner = draw.activity()
    start = joined(draw.human().text, draw.sometimes(draw.adverb("sentence"), 0.4))
    end = joined(frames[0], draw.human().text, draw.adverb_or_none(0.3), inner.said("past"))
    return sentence(start, good, end), sentence(start, bad, end)


def infinitive_or_gerund(draw: Draw) -> Pair:
    """Some verbs take an infinitive with "to" as their complement, others a form in -ing."""
    frames = draw.shuffled(("infinitive", "gerund"))
    good, bad = (draw.verb(frame).past for frame in frames)
    inner = draw.transitive()
    complement = f"to {inner.said('base')}" if frames[0] == "infinitive" else inner.said("ing")
    start = joined(draw.human().text, draw.adverb_or_none(0.5))
    return sentence(start, good, complement), sentence(start, bad, complement)


def tense_adverbial(draw: Draw) -> Pair:
    """The tense of a verb goes with the time that is named."""
    subject, activity = draw.human(), draw.activity()
    times = {
        "past": ("yesterday", "last week", "last month", "two days ago", "an hour ago"),
        "future": ("tomorrow", "next week", "next month", "two days from now"),
    }
    verbs = {
        "past": activity.said("past"),
        "future": joined("will", draw.adverb_or_none(0.4), activity.said("base")),
    }
    right, wrong = draw.shuffled(("past", "future"))
    goods, bads = draw.pick(times[right]), draw.pick(times[wrong])
    if draw.chance(0.4):
        clause = joined(subject.text, verbs[right])
        return sentence(goods, ",", clause), sentence(bads, ",", clause)
    start = joined(subject.text, verbs[right])
    return sentence(start, goods), sentence(start, bads)


def raising(draw: Draw) -> Pair:
    """Verbs like "seem" take no subject of their own, verbs like "hope" do."""
    seem, adverb = draw.verb("raising").past, draw.sometimes(draw.adverb("sentence"), 0.4)
    someone, place = draw.human().text, draw.pick(draw.words.places)
    hope = draw.verb("that").past
    if draw.chance(0.4):
        noun = draw.noun(draw.pick(("device", "animal", "person"))).singular
        start, end = joined("there", adverb), joined("to be a", noun, place)
        return sentence(start, seem, end), sentence(start, hope, end)
    end = joined("that", draw.human().text, draw.activity().said("past"))
    # More often with a subject, to make up for "there".
    if draw.chance(0.8):
        start = joined(someone, adverb)
        return sentence(start, hope, end), sentence(start, seem, end)
    start = joined("it", adverb)
    return sentence(start, seem, end), sentence(start, hope, end)


def _auxiliary(draw: Draw, form: str, subject: Phrase) -> str:
    """Returns an auxiliary that asks for that form and agrees with the subject."""
    plural = subject.plural
    options = {
        "participle": ("have" if plural else "has", "had"),
        "ing": ("are", "were") if plural else ("is", "was"),
        "base": (*_MODALS, "do not" if plural else "does not", "did not"),
    }
    return draw.pick(options[form])


def _agreeing(draw: Draw, subject: Phrase) -> Pair:
    """Returns a form of "be" and one of "have" that agree with the subject."""
    if draw.chance():
        return ("were" if subject.plural else "was"), "had"
    return ("are", "have") if subject.plural else ("is", "has")
