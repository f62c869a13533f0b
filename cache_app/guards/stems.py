"""Matches forms of one word: endings, British and American spelling, typos."""

from functools import lru_cache

IRREGULAR = {
    **dict.fromkeys(("bought", "buying"), "buy"),
    **dict.fromkeys(("sold", "selling"), "sell"),
    **dict.fromkeys(("paid", "pays"), "pay"),
    **dict.fromkeys(("sent", "sending"), "send"),
    **dict.fromkeys(("men",), "man"),
    **dict.fromkeys(("women",), "woman"),
    **dict.fromkeys(("children",), "child"),
    **dict.fromkeys(("feet",), "foot"),
    **dict.fromkeys(("teeth",), "tooth"),
    **dict.fromkeys(("mice",), "mouse"),
    **dict.fromkeys(("lost",), "lose"),
    **dict.fromkeys(("won", "winning"), "win"),
    **dict.fromkeys(("made", "making"), "make"),
    **dict.fromkeys(("found",), "find"),
    **dict.fromkeys(("left", "leaving"), "leave"),
    **dict.fromkeys(("met",), "meet"),
    **dict.fromkeys(("wrote", "written", "writing"), "write"),
    **dict.fromkeys(("chose", "chosen"), "choose"),
    **dict.fromkeys(("took", "taken"), "take"),
    **dict.fromkeys(("spent",), "spend"),
    **dict.fromkeys(("built",), "build"),
    **dict.fromkeys(("rose", "risen"), "rise"),
    **dict.fromkeys(("fell", "fallen"), "fall"),
    **dict.fromkeys(("grew", "grown"), "grow"),
    **dict.fromkeys(("began", "begun"), "begin"),
    **dict.fromkeys(("drove", "driven"), "drive"),
    **dict.fromkeys(("broke", "broken"), "break"),
    **dict.fromkeys(("stole", "stolen"), "steal"),
    **dict.fromkeys(("flew", "flown"), "fly"),
    **dict.fromkeys(("said",), "say"),
    **dict.fromkeys(("thought",), "think"),
    **dict.fromkeys(("taught",), "teach"),
    **dict.fromkeys(("dying", "died", "dies"), "die"),
}
VOWELS = frozenset("aeiouy")
DERIVED = (
    *("isation", "ization", "ations", "ation", "itions", "ition", "ments", "ment", "ions", "ion", "ances", "ance"),
    *("ences", "ence", "ities", "ity", "ness", "ally", "als", "al", "ly", "ies", "y", "s"),
)
TYPO_LENGTH = 4


@lru_cache(maxsize=8192)
def stem(word: str) -> str:
    """The stem: not necessarily a word, but the same for all forms. Expects lower case."""
    if word in IRREGULAR or len(word) <= 3 or not word.isascii():
        return IRREGULAR.get(word, word)
    bare = _verb(_plural(_british(word)))
    return bare[:-1] if bare.endswith("e") and len(bare) > 3 else bare


def _british(word: str) -> str:
    """Convert British to American spelling: organise, colour, travelling."""
    for american, british in (("iz", "is"), ("yz", "ys")):
        word = word.replace(american + "e", british + "e").replace(american + "i", british + "i")
    return word[:-3] + "or" if word.endswith("our") and len(word) > 5 else word


def _plural(word: str) -> str:
    if word.endswith("ies") and len(word) > 4:
        return word[:-3] + "y"
    if word.endswith(("sses", "shes", "ches", "xes", "zes")):
        return word[:-2]
    return word[:-1] if word.endswith("s") and not word.endswith(("ss", "us", "is")) else word


def _verb(word: str) -> str:
    for ending in ("ing", "ied", "ed"):
        rest = word.removesuffix(ending)
        if rest != word and len(rest) >= 2 and not VOWELS.isdisjoint(rest) and len(word) > len(ending) + 2:
            rest = rest + "y" if ending == "ied" else rest
            double = len(rest) > 3 and rest[-1] == rest[-2] and rest[-1] not in "szoe"
            return rest[:-1] if double else rest
    return word


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
