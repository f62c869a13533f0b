"""Matches forms of one word: endings, British and American spelling, typos."""

import re
from functools import lru_cache

FAMILIES = """
    agree agreed | become became | begin began begun | bend bent | bite bitten | blow blew blown
    break broke broken | bring brought | build built | bus buses | buy bought | calorie calories | catch caught
    child children | choose chose chosen | cookie cookies | crisis crises | criterion criteria | deal dealt
    decree decreed | disagree disagreed | draw drew drawn | drive drove driven | eat ate eaten | fall fell fallen
    feel felt | fight fought | find found | fly flew flown | foot feet | forget forgot forgotten
    forgive forgave forgiven | free freed | freeze froze frozen | gas gases | grow grew grown | guarantee guaranteed
    hear heard | hide hid hidden | hold held | index indices | keep kept | knife knives | know knew | leave left
    lend lent | lose lost | make made | man men | matrix matrices | meet met | mouse mice | movie movies
    overwrite overwrote overwritten | pay paid | quiz quizzes | rewrite rewrote rewritten | ride rode ridden
    rise rose risen | run ran | say said | seek sought | sell sold | send sent | shake shook shaken | shelf shelves
    shrink shrank shrunk | sleep slept | speak spoke spoken | spend spent | stand stood | steal stole stolen
    stick stuck | strike struck | swear swore sworn | swim swam swum | take took taken | teach taught | tell told
    think thought | throw threw thrown | tooth teeth | understand understood | undo undid undone | vertex vertices
    wake woke woken | wear wore worn | wife wives | win won | withdraw withdrew withdrawn | woman women
    write wrote written
"""
"""A base with its irregular forms in each part."""
IRREGULAR = {
    form: base for base, *forms in map(str.split, FAMILIES.replace("\n", "|").split("|")[1:-1]) for form in forms
}
UNCHANGED = frozenset({"alias", "atlas", "bias", "canvas", "embed", "lens"})
"""Words that only look like a plural or a past tense."""
VOWELS = frozenset("aeiouy")
SHORT = re.compile(r"(?:qu|[^aeiou])*[aeiouy][^aeiouwxy]")
"""One vowel and one consonant: a verb doubles the consonant (plan, planned), or it has an "e" (plane, planed)."""
OUR = re.compile(r"([aeiou][a-z]{1,4})our")
"""Not "hour", "your", or "source"."""
DERIVED = (
    *("isation", "ization", "ations", "ation", "itions", "ition", "ments", "ment", "ions", "ion", "ances", "ance"),
    *("ences", "ence", "ities", "ity", "ness", "ally", "als", "al", "ly", "ies", "y", "s"),
)
TYPO_LENGTH = 4


@lru_cache(maxsize=8192)
def stem(word: str) -> str:
    """The stem: not necessarily a word, but the same for all forms. Expects lower case."""
    word = IRREGULAR.get(word, word)
    if len(word) <= 3 or not word.isascii():
        return word
    bare = _verb(_plural(_british(word)))
    if bare.endswith("ll"):
        return bare[:-1] if sum(map(bare.count, "aeiou")) > 1 else bare
    is_mute = bare.endswith("e") and len(bare) > 3 and not SHORT.fullmatch(bare[:-1])
    return bare[:-1] if is_mute else bare


def _british(word: str) -> str:
    """Unify British and American spelling: organise, colour. Doubled and single "l" are unified by `stem`."""
    for american, british in (("iz", "is"), ("yz", "ys")):
        word = word.replace(american + "e", british + "e").replace(american + "i", british + "i")
    return OUR.sub(r"\1or", word)


def _plural(word: str) -> str:
    if word in UNCHANGED:
        return word
    if word.endswith("ies") and len(word) > 4:
        return word[:-3] + "y"
    if word.endswith(("sses", "shes", "ches", "xes", "zzes")) or (word.endswith("sis") and len(word) > 7):
        return word[:-2]
    return word[:-1] if word.endswith("s") and not word.endswith(("ss", "us", "is")) else word


def _verb(word: str) -> str:
    ending = next((each for each in ("ing", "ied", "ed") if word.endswith(each)), "")
    rest = word.removesuffix(ending)
    if ending == "ied":
        return rest + ("y" if len(rest) > 1 else "ie")
    if not ending or len(rest) < 2 or VOWELS.isdisjoint(rest) or word in UNCHANGED or word.endswith("eed"):
        return word
    if len(rest) == 2:
        return _short_verb(word, rest)
    if SHORT.fullmatch(rest):
        return rest + "e"
    return rest[:-1] if len(rest) > 3 and rest[-1] == rest[-2] and rest[-1] not in "lszfoe" else rest


def _short_verb(word: str, rest: str) -> str:
    """The verb of using, tying, or doing, where two letters precede the ending."""
    if rest[-1] in "oe":
        return word
    return f"{rest[0]}ie" if word.endswith("ying") else f"{rest}e"


def is_derived(one: str, other: str) -> bool:
    """Whether two words are derived from one: approve, approval."""
    return len(root := _root(one)) >= 4 and root == _root(other)


@lru_cache(maxsize=8192)
def _root(word: str) -> str:
    ending = next((each for each in DERIVED if word.endswith(each) and len(word) - len(each) >= 4), "")
    root = word.removesuffix(ending)
    return root[:-1] if root.endswith(("e", "t")) and len(root) > 4 else root


def is_typo(one: str, other: str) -> bool:
    """Whether the words differ by one typo: a letter wrong, missing, added, or two swapped. Not in the first letter or
    digits.
    """
    shorter = min(len(one), len(other))
    if one[:1] != other[:1] or shorter < TYPO_LENGTH or abs(len(one) - len(other)) > 1:
        return False
    return not any(map(str.isdigit, one + other)) and is_one_edit(one, other)


def is_one_edit(one: str, other: str) -> bool:
    """One letter is another, missing, too many, or two neighbors are exchanged."""
    shorter = min(len(one), len(other))
    start = next((at for at in range(shorter) if one[at] != other[at]), shorter)
    left, right = one[start:], other[start:]
    exchanged = left[:2] == right[:2][::-1] and left[2:] == right[2:]
    return exchanged or left[1:] == right or left == right[1:] or left[1:] == right[1:]
