"""Verbs, adjectives and adverbs of the embedded corpus, by the frame they stand in.

A verb may stand in several frames; its forms follow from the base.
"""


def _lists(table: dict[str, str]) -> dict[str, tuple[str, ...]]:
    return {key: tuple(words.split()) for key, words in table.items()}


VERBS = _lists(
    {
        # A human subject and nothing else: none of these takes an object.
        "intransitive": """
            apologize behave blush chat chuckle complain cough daydream dawdle doze faint fidget
            frown gasp giggle gossip grin groan growl grumble hesitate kneel laugh limp linger
            listen loiter meditate misbehave pray scowl shiver shudder sigh sleep smile smirk
            sneer sneeze snicker snore sob squirm stammer stumble sulk sunbathe swim swoon
            tiptoe travel tremble vanish wait wander weep wink yawn
        """,
        # An object of the named kind, which can't be left out.
        "person": """
            accompany accuse admire amuse annoy astonish blame comfort console deceive encourage
            enrage flatter frighten greet harass humiliate ignore impress insult intimidate
            irritate mock offend outwit overhear pester praise protect provoke reassure rescue
            ridicule scold support surprise thank welcome
        """,
        "animal": """
            adopt annoy calm capture examine fetch frighten grab ignore photograph pursue
            release rescue scare tame touch
        """,
        "device": """
            abandon acquire assess conceal damage demand demolish describe destroy discard
            discover examine fetch find fix grab ignore inspect locate mend misplace obtain
            praise purchase repair replace request restore ruin seize unpack
        """,
        "text": """
            analyze bring complete demand describe destroy discuss distribute examine fetch find
            finalize ignore introduce memorize mention obtain praise quote recommend request
            rewrite shorten
        """,
        "food": """
            acquire bring consume crush demand describe devour discard fetch find grab nibble
            obtain praise purchase request savor seize unwrap
        """,
        "mass": "acquire bring demand describe discover find ignore mention need obtain request",
        # A reflexive or "each other" makes sense as their object.
        "reflexive": """
            admire blame cheat criticize deceive defend describe embarrass encourage endanger
            entertain forgive hate humiliate hurt injure insult introduce mention mock
            motivate pity praise protect reassure reward ridicule scare surprise trust
        """,
        # Past and participle differ.
        "irregular_person": "beat choose forget forgive know mistake overtake see",
        "irregular_animal": "bite choose drive forget hide overtake ride see shake steal take",
        "irregular_device": "break choose draw forget hide see shake steal take throw",
        "irregular_text": "begin choose draw forget hide rewrite see steal take tear write",
        "irregular_food": "bite choose eat forget freeze hide see steal take throw",
        # hand NP NP | explain NP to NP | reward NP with NP
        "double_object": "allot award deny give grant hand lend loan offer owe",
        "to_goal": """
            demonstrate describe dictate display donate explain mention recommend
            recite report return reveal
        """,
        "with_object": """
            bore bribe confront console distract entertain impress pester reward surprise tempt
            threaten trust welcome
        """,
        # Complements: that ... | whether ... | to do | doing | both that ... and what ...
        "that": """
            assume believe boast claim complain conclude declare fear feel hope insist presume
            suppose suspect swear think
        """,
        "whether": "ask debate discuss inquire investigate wonder",
        "infinitive": """
            agree aim aspire decide decline fail hesitate hope long manage offer plan pretend
            promise refuse strive threaten vow want wish
        """,
        "gerund": """
            admit avoid consider contemplate deny detest discuss enjoy finish mention postpone
            recall recommend resent resist risk
        """,
        "factive": "discover forget guess hear know learn notice remember reveal see",
        "say": "announce argue believe claim confirm declare hint insist know mention say think",
        "psych": """
            alarm amuse anger annoy bother disappoint frighten irritate offend please puzzle shock
            surprise terrify upset worry
        """,
        "raising": "appear happen seem",
    }
)

ADJECTIVES = _lists(
    {
        "human": """
            ambitious angry anxious brave busy calm careful careless cheerful clever clumsy
            confident cruel curious decent elegant famous fearless foolish friendly
            furious generous gentle greedy grumpy happy helpful honest hungry ignorant impatient
            intelligent jealous kind lazy lonely lucky modest nervous noisy patient polite
            powerful proud reliable rich rude selfish shy sick silly smart strong stubborn
            talented tall thoughtful timid tired wealthy wise young
        """,
        "thing": """
            amazing ancient awful beautiful boring cheap common disgusting dreadful enormous
            expensive fabulous famous fantastic  horrible impressive inexpensive new odd old
            ordinary  plain pleasant rare remarkable small strange tiny ugly unusual
            valuable wonderful
        """,
    }
)

ADVERBS = _lists(
    {
        "manner": """
            angrily anxiously bravely calmly carefully carelessly cheerfully cleverly eagerly
            gently gladly happily hastily hurriedly nervously patiently politely proudly
            quickly quietly reluctantly secretly silently slowly suddenly
        """,
        "sentence": """
            apparently certainly clearly definitely evidently obviously possibly presumably
            probably supposedly surely undoubtedly
        """,
        "frequency": "always constantly frequently generally occasionally often regularly usually",
    }
)
