"""English word forms: plurals, verb forms, comparatives and the indefinite article.

Regular forms by rule, irregular ones from a table.
"""

import re

_PLURALS = dict(
    pair.split(":")
    for pair in [
        "child:children",
        "deer:deer",
        "fish:fish",
        "goose:geese",
        "hero:heroes",
        "knife:knives",
        "leaf:leaves",
        "loaf:loaves",
        "mouse:mice",
        "potato:potatoes",
        "sheep:sheep",
        "shelf:shelves",
        "thief:thieves",
        "tomato:tomatoes",
        "wife:wives",
        "wolf:wolves",
    ]
)

# base:past:participle
_VERBS = {
    entry.split(":")[0]: (entry.split(":")[1], entry.split(":")[2])
    for entry in [
        "be:was:been",
        "beat:beat:beaten",
        "begin:began:begun",
        "bite:bit:bitten",
        "break:broke:broken",
        "bring:brought:brought",
        "buy:bought:bought",
        "choose:chose:chosen",
        "draw:drew:drawn",
        "drink:drank:drunk",
        "drive:drove:driven",
        "eat:ate:eaten",
        "feel:felt:felt",
        "find:found:found",
        "forget:forgot:forgotten",
        "forgive:forgave:forgiven",
        "freeze:froze:frozen",
        "give:gave:given",
        "have:had:had",
        "hear:heard:heard",
        "hide:hid:hidden",
        "hurt:hurt:hurt",
        "keep:kept:kept",
        "kneel:knelt:knelt",
        "know:knew:known",
        "lend:lent:lent",
        "lose:lost:lost",
        "meet:met:met",
        "mistake:mistook:mistaken",
        "overhear:overheard:overheard",
        "overtake:overtook:overtaken",
        "quit:quit:quit",
        "rewrite:rewrote:rewritten",
        "ride:rode:ridden",
        "say:said:said",
        "see:saw:seen",
        "shake:shook:shaken",
        "sing:sang:sung",
        "sleep:slept:slept",
        "speak:spoke:spoken",
        "steal:stole:stolen",
        "strive:strove:striven",
        "swear:swore:sworn",
        "swim:swam:swum",
        "take:took:taken",
        "teach:taught:taught",
        "tear:tore:torn",
        "think:thought:thought",
        "throw:threw:thrown",
        "wear:wore:worn",
        "upset:upset:upset",
        "weep:wept:wept",
        "withdraw:withdrew:withdrawn",
        "write:wrote:written",
    ]
}

_COMPARATIVES = {"good": "better", "bad": "worse"}
# Words of several syllables that double their last consonant: it is stressed.
_STRESSED_LAST = {"admit", "allot", "begin", "forget", "omit", "permit", "prefer", "regret"}
_STRESSED_LAST |= {"equip", "outwit", "quit", "unwrap", "upset"}
_ONE_SHORT_SYLLABLE = re.compile(r"[^aeiou]*[aeiou][^aeiouwxy]")
_VOWEL_SOUND = re.compile(r"(?!uni|use|usu|eu|one\b)[aeiou]|hour|honest|heir|honor", re.IGNORECASE)


def plural(noun: str) -> str:
    """Returns a noun's plural, of a compound like "policewoman" too."""
    if noun.endswith("man"):
        return noun[:-3] + "men"
    return _PLURALS.get(noun, _with_s(noun))


def third_person(verb: str) -> str:
    """Returns the present form that goes with "she"."""
    irregular = {"have": "has", "be": "is"}
    return irregular.get(verb, _with_s(verb))


def past(verb: str) -> str:
    """Returns the simple past; "was" for "be"."""
    return _VERBS[verb][0] if verb in _VERBS else _with_ed(verb)


def participle(verb: str) -> str:
    """Returns the past participle."""
    return _VERBS[verb][1] if verb in _VERBS else _with_ed(verb)


def ing(verb: str) -> str:
    """Returns the present participle."""
    if verb.endswith("ie"):
        return verb[:-2] + "ying"
    if verb.endswith("e") and not verb.endswith(("ee", "oe", "ye")) and verb != "be":
        return verb[:-1] + "ing"
    return _doubled(verb) + "ing"


def comparative(adjective: str) -> str | None:
    """Returns the form in -er, or None for an adjective that takes "more"."""
    if adjective in _COMPARATIVES:
        return _COMPARATIVES[adjective]
    n_syllables = len(re.findall(r"[aeiouy]+", re.sub(r"e$", "", adjective)))
    if n_syllables == 2 and re.search(r"[^aeiou]y$", adjective):
        return adjective[:-1] + "ier"
    if n_syllables > 1 or adjective.endswith("ed"):
        return None
    return adjective + "r" if adjective.endswith("e") else _doubled(adjective) + "er"


def indefinite_article(next_word: str) -> str:
    """Returns "a" or "an", by the sound that the next word starts with."""
    return "an" if _VOWEL_SOUND.match(next_word) else "a"


def _with_s(word: str) -> str:
    if re.search(r"[^aeiou]y$", word):
        return word[:-1] + "ies"
    return word + "es" if word.endswith(("s", "x", "z", "ch", "sh")) else word + "s"


def _with_ed(verb: str) -> str:
    if re.search(r"[^aeiou]y$", verb):
        return verb[:-1] + "ied"
    return verb + "d" if verb.endswith("e") else _doubled(verb) + "ed"


def _doubled(word: str) -> str:
    """Returns the word as it stands before a vowel's ending: "grab" as "grabb"."""
    if word.endswith("ic"):
        return word + "k"
    if word in _STRESSED_LAST or _ONE_SHORT_SYLLABLE.fullmatch(word):
        return word + word[-1]
    return word
