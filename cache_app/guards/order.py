"""Detects the same words with swapped parts: from A to B, A over B, A bought B."""

import re
from itertools import combinations, pairwise

from cache_app.guards.difference import exclude_each_other, has_opposite
from cache_app.guards.objection import Objection
from cache_app.guards.parsing import Parsed, unframed
from cache_app.guards.tables import term

SOURCES = frozenset({"from", "leav", "leave"})
TARGETS = frozenset({"to", "into", "toward", "onto"})
BETWEEN = frozenset(
    {"to", "into", "than", "over", "before", "after", "by", "for", "against", "cause", "caus", "affect"}
)
BOTH_WAYS = frozenset({"and", "or", "vs", "versus", "&", "between", "with"})
REACH = 3
VERSIONS = frozenset(map(term, ("version", "translation", "edition", "rendering", "equivalent", "copy", "variant")))
OF = frozenset({"of", "for", "from"})
OPERATORS = frozenset("-<>/")
"""Asymmetric operators."""


def object_to_order(asked: Parsed, cached: Parsed) -> Objection | None:
    """One text's source, left side or subject is the other's target, right side or object."""
    if asked.text != cached.text and any(check(asked, cached) for check in CHECKS):
        return Objection("order", "the same words in a different order")
    return None


def _operands_exchanged(asked: Parsed, cached: Parsed) -> bool:
    """The same words around the same signs in another order: x - y and y - x."""
    one, other = (re.findall(r"\w+|[-<>/]", each.text.lower()) for each in (asked, cached))
    return one != other and sorted(one) == sorted(other) and not OPERATORS.isdisjoint(one)


def _roles_exchanged(asked: Parsed, cached: Parsed) -> bool:
    """From A to B, to A from B."""
    left, right = (_after(each, SOURCES) for each in (asked, cached))
    return bool((left - right) & _after(cached, TARGETS) and (right - left) & _after(asked, TARGETS))


def _after(parsed: Parsed, markers: frozenset[str]) -> set[str]:
    """The first content terms after the markers."""
    found = set()
    for at, word in enumerate(parsed.sequence):
        if word in markers:
            found |= set([each for each in parsed.sequence[at + 1 : at + 1 + REACH] if each in parsed.content][:1])
    return found


def _sides_exchanged(asked: Parsed, cached: Parsed) -> bool:
    """A to B, B to A, where the texts have the same words."""
    if set(asked.content) != set(cached.content):
        return False
    for marker in BETWEEN & set(asked.sequence) & set(cached.sequence):
        (before, after), (earlier, later) = _around(asked, marker), _around(cached, marker)
        if (before - earlier) & later and (earlier - before) & after:
            return True
    return False


def _around(parsed: Parsed, marker: str) -> tuple[set[str], set[str]]:
    at = parsed.sequence.index(marker)
    before = [each for each in parsed.sequence[:at] if each in parsed.content][-REACH:]
    after = [each for each in parsed.sequence[at + 1 :] if each in parsed.content][:REACH]
    return set(before), set(after)


def _places_exchanged(asked: Parsed, cached: Parsed) -> bool:
    """The same words throughout, two of them exchanged around something that does not work both ways."""
    one, other = unframed(asked.sequence), unframed(cached.sequence)
    if len(one) != len(other) or sorted(one) != sorted(other):
        return False
    moved = [at for at in range(len(one)) if one[at] != other[at]]
    if len(moved) != 2 or moved[1] - moved[0] < 2:
        return False
    between = set(one[moved[0] + 1 : moved[1]])
    return between.isdisjoint(BOTH_WAYS) and all(one[at] in asked.content for at in moved)


def _kinds_exchanged(asked: Parsed, cached: Parsed) -> bool:
    """Two things of one kind change places: petrol in a diesel engine, diesel in a petrol engine."""
    both = [each for each in dict.fromkeys(asked.content) if each in cached.content]
    return any(
        exclude_each_other(one, other)
        and cached.sequence.index(one) > cached.sequence.index(other)
        and _is_one_way(asked, one, other)
        and _is_one_way(cached, other, one)
        and _in_order(asked, both, (one, other)) == _in_order(cached, both, (one, other))
        for one, other in combinations(both, 2)
    )


def _modifiers_exchanged(asked: Parsed, cached: Parsed) -> bool:
    """Two things of one kind, and another of them beside the same word: suppliers, contractor portal."""
    both = set(asked.content) & set(cached.content)
    one, other = (_modified(each, both) for each in (asked, cached))
    return any(exclude_each_other(one[noun], other[noun]) for noun in one.keys() & other.keys())


def _modified(parsed: Parsed, both: set[str]) -> dict[str, str]:
    """To a word the one before it, where both texts have the two."""
    return {noun: word for word, noun in pairwise(parsed.sequence) if {word, noun} <= both}


def _versions_exchanged(asked: Parsed, cached: Parsed) -> bool:
    """Source and target told by adjectives: a French version of the Italian text, from French to Italian."""
    left, right = (_origins(each) for each in (asked, cached))
    (from_left, to_left), (from_right, to_right) = left, right
    return bool((from_left & to_right) - to_left or (from_right & to_left) - to_right)


def _origins(parsed: Parsed) -> tuple[set[str], set[str]]:
    """Terms with opposites that are a source, and those that are a target."""
    sources, targets = _after(parsed, SOURCES), _after(parsed, TARGETS)
    for at, word in enumerate(parsed.sequence[1:], start=1):
        if word in VERSIONS:
            targets.add(parsed.sequence[at - 1])
            sources |= _next_content(parsed, at, OF)
    return {each for each in sources if has_opposite(each)}, {each for each in targets if has_opposite(each)}


def _next_content(parsed: Parsed, at: int, markers: frozenset[str]) -> set[str]:
    """The first content term after the marker that follows a place."""
    if parsed.sequence[at + 1 : at + 2] and parsed.sequence[at + 1] in markers:
        return set([each for each in parsed.sequence[at + 2 : at + 2 + REACH] if each in parsed.content][:1])
    return set()


def _in_order(parsed: Parsed, common: list[str], but: tuple[str, str]) -> list[str]:
    """What both texts have beside the two; if it moves as well, the sentence is only built otherwise."""
    return [each for each in dict.fromkeys(parsed.content) if each in common and each not in but]


def _is_one_way(parsed: Parsed, first: str, second: str) -> bool:
    """What stands between the two does not work both ways."""
    between = parsed.sequence[parsed.sequence.index(first) + 1 : parsed.sequence.index(second)]
    return BOTH_WAYS.isdisjoint(between)


CHECKS = (
    *(_operands_exchanged, _roles_exchanged, _sides_exchanged, _places_exchanged, _kinds_exchanged),
    *(_modifiers_exchanged, _versions_exchanged),
)
