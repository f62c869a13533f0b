"""The same words with the parts exchanged: from A to B, A over B, A bought B."""

from itertools import combinations

from cache_app.guards.difference import exclude_each_other
from cache_app.guards.objection import Objection
from cache_app.guards.parsing import Parsed, unframed

SOURCES = frozenset({"from", "leav", "leave"})
TARGETS = frozenset({"to", "into", "toward", "onto"})
BETWEEN = frozenset(
    {"to", "into", "than", "over", "before", "after", "by", "for", "against", "cause", "caus", "affect"}
)
BOTH_WAYS = frozenset({"and", "or", "vs", "versus", "&", "between", "with"})
REACH = 3


def object_to_order(asked: Parsed, cached: Parsed) -> Objection | None:
    """What is source, left or doer in one text is target, right or done-to in the other."""
    checks = (_roles_exchanged, _sides_exchanged, _places_exchanged, _kinds_exchanged)
    if asked.sequence != cached.sequence and any(check(asked, cached) for check in checks):
        return Objection("order", "the same words in exchanged places")
    return None


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


def _in_order(parsed: Parsed, common: list[str], but: tuple[str, str]) -> list[str]:
    """What both texts have beside the two; if it moves as well, the sentence is only built otherwise."""
    return [each for each in dict.fromkeys(parsed.content) if each in common and each not in but]


def _is_one_way(parsed: Parsed, first: str, second: str) -> bool:
    """What stands between the two does not work both ways."""
    between = parsed.sequence[parsed.sequence.index(first) + 1 : parsed.sequence.index(second)]
    return BOTH_WAYS.isdisjoint(between)
