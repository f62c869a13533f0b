"""Detects the same words with swapped parts: from A to B, A over B, A bought B."""

import re
from collections import Counter
from itertools import combinations, pairwise

from cache_app.guards.asked_for import questions_exchanged
from cache_app.guards.difference import WordDifference, difference, exclude_each_other, has_opposite
from cache_app.guards.objection import Objection
from cache_app.guards.parsing import Parsed
from cache_app.guards.small_words import without_politeness
from cache_app.guards.stems import stem
from cache_app.guards.tables import lines, small_words, term, terms, words

SOURCES = frozenset({"from", "leav", "leave"})
TARGETS = frozenset({"to", "into", "toward", "onto"})
BETWEEN = frozenset(
    map(term, ("to", "into", "than", "over", "before", "after", "by", "for", "against", "cause", "affect"))
)
BOTH_WAYS = frozenset({"and", "or", "vs", "versus", "&", "between", "with"})
REACH = 3
SUBSTITUTING = frozenset(
    map(stem, ("replace", "substitute", "overwrite", "exchange", "override", "supersede", "mistake"))
)
OPERAND = re.compile(r"\w|\w+[._]\w[\w.]*")
"""A variable or a file. Other neighbors change places in a rewording: learn quickly, quickly learn."""
VARIABLES = frozenset("bcdfgjkpqvwxyz")
DOTTED = re.compile(r"\w+(?:\.\w+)*")
VERSIONS = frozenset(map(term, ("version", "translation", "edition", "rendering", "equivalent", "copy", "variant")))
OF = frozenset({"of", "for", "from"})
IN = OF | {"in"}
OPERATORS = frozenset("-<>/|=^%\\∈⊂⊃⊆⊇→")
"""Asymmetric operators."""
OPERANDS = re.compile(rf"\w+|[{re.escape(''.join(sorted(OPERATORS)))}]")
CALL = re.compile(r"\b(\w+)\(([^()]*)\)")
CASES = tuple((actor, acted_on) for actor, acted_on in (line.split() for line in lines("persons")))
ACTED_ON = "|".join(acted_on for _, acted_on in CASES)
PASSIVE = re.compile(r"\bby\b|\b(?:am|is|are|was|were|be|been|being|get|got)\b[^.?!]{0,40}?ed\b")
OPEN_TO = re.compile(r"\b[a-z]+[ai]ble (?:to|for|by)\b")
"""Accessible to us: what we access comes first, as in a passive."""
RECIPIENT = re.compile(rf"\b(?:to|from) (?:{ACTED_ON})\b")
LONGEST_SENTENCE = 30


def object_to_order(asked: Parsed, cached: Parsed) -> Objection | None:
    """One text's source, left side or subject is the other's target, right side or object."""
    if asked.text != cached.text and any(check(asked, cached) for check in CHECKS):
        return Objection("order", "the same words in a different order")
    return None


def _operands_exchanged(asked: Parsed, cached: Parsed) -> bool:
    """The same words around the same signs in another order: x - y and y - x."""
    one, other = (
        [word for word in OPERANDS.findall(each.text.lower()) if word != "please"] for each in (asked, cached)
    )
    return one != other and sorted(one) == sorted(other) and not OPERATORS.isdisjoint(one)


def _arguments_exchanged(asked: Parsed, cached: Parsed) -> bool:
    """The same calls with their arguments in another order: range(1, 10) and range(10, 1)."""
    one, other = (_calls(parsed.text) for parsed in (asked, cached))
    unordered = ([(name, sorted(each)) for name, each in calls] for calls in (one, other))
    return one != other and next(unordered) == next(unordered)


def _calls(text: str) -> list[tuple[str, list[str]]]:
    """Name and arguments of each call."""
    return [(name, [each.strip() for each in arguments.split(",")]) for name, arguments in CALL.findall(text)]


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
        if (
            _between(asked, marker).isdisjoint(_between(cached, marker))
            and (before - earlier) & later
            and (earlier - before) & after
        ):
            return True
    return False


def _around(parsed: Parsed, marker: str) -> tuple[set[str], set[str]]:
    at = parsed.sequence.index(marker)
    before = [each for each in parsed.sequence[:at] if each in parsed.content][-REACH:]
    after = [each for each in parsed.sequence[at + 1 :] if each in parsed.content][:REACH]
    return set(before), set(after)


def _between(parsed: Parsed, marker: str) -> set[tuple[str, str]]:
    """The nearest content terms before and after each place of the marker."""
    places = [at for at, word in enumerate(parsed.sequence) if word == marker]
    before = {at: [each for each in parsed.sequence[:at] if each in parsed.content][-1:] for at in places}
    after = {at: [each for each in parsed.sequence[at + 1 :] if each in parsed.content][:1] for at in places}
    return {(before[at][0], after[at][0]) for at in places if before[at] and after[at]}


def _places_exchanged(asked: Parsed, cached: Parsed) -> bool:
    """The same words throughout, two of them exchanged around something that does not work both ways."""
    one, other = (_without_articles(each.text) for each in (asked, cached))
    if len(one) != len(other) or sorted(one) != sorted(other):
        return False
    moved = [at for at in range(len(one)) if one[at] != other[at]]
    if len(moved) != 2:
        return False
    neighbors = [(parsed.text, [found[at] for at in moved]) for parsed, found in ((asked, one), (cached, other))]
    if moved[1] - moved[0] < 2 and not all(_are_apart(*each) for each in neighbors):
        return False
    between = set(one[moved[0] + 1 : moved[1]])
    both_ways = BOTH_WAYS - {"with"} if SUBSTITUTING & set(one[: moved[0]]) else BOTH_WAYS
    is_list = between <= small_words() or _have_one_neighbor(one, moved)
    return not (is_list and between & both_ways) and not {one[at] for at in moved} & both_ways


def _are_apart(text: str, neighbors: list[str]) -> bool:
    """Whether two neighbors are variables, or have an article between them: is every square a rectangle."""
    found = [stem(word) for word in DOTTED.findall(text.lower())]
    first = found.index(neighbors[0]) if neighbors[0] in found else len(found)
    return all(map(OPERAND.fullmatch, neighbors)) or found[first + 1 : first + 2] in (["a"], ["an"])


def _have_one_neighbor(found: list[str], places: list[int]) -> bool:
    """Whether two words follow the same one, or stand before the same noun: the price of tea and the price of milk."""
    first, last = places
    before = first > 0 and found[first - 1] == found[last - 1]
    return before or (
        found[first + 1 : first + 2] == found[last + 1 : last + 2] and found[first + 1] not in small_words()
    )


def _without_articles(text: str) -> list[str]:
    """The stems of the words, and whole file names. A capital A is a name, as is an "a" next to other letters."""
    found = DOTTED.findall(text)
    articles = words("determiners") - {"a"} if VARIABLES & set(found) else words("determiners")
    return [stem(word.lower()) for word in found if word not in articles]


def _numbers_exchanged(asked: Parsed, cached: Parsed) -> bool:
    """The same words, and the same numbers in another order, if that can matter: not 3 and 5, 5 and 3."""
    one, other = ([each.value for each in parsed.quantities] for parsed in (asked, cached))
    moved = one != other and sorted(one) == sorted(other) and asked.sequence == cached.sequence
    return moved and (len(one) > 2 or BOTH_WAYS.isdisjoint(asked.sequence))


def _repeats_exchanged(asked: Parsed, cached: Parsed) -> bool:
    """The same words, and another one repeated: A or B? A, A or B? B."""
    one, other = Counter(asked.content), Counter(cached.content)
    return one.keys() == other.keys() and bool(one - other) and bool(other - one)


def _kinds_exchanged(asked: Parsed, cached: Parsed) -> bool:
    """Two things of one kind change places: petrol in a diesel engine, diesel in a petrol engine."""
    if bool(OPEN_TO.search(asked.text)) != bool(OPEN_TO.search(cached.text)):
        return False
    both = [each for each in dict.fromkeys(asked.content) if each in cached.content]
    return any(
        exclude_each_other(one, other)
        and cached.sequence.index(one) > cached.sequence.index(other)
        and _are_one_way(_from_to(asked, one, other), _from_to(cached, other, one))
        and _in_order(asked, both, (one, other)) == _in_order(cached, both, (one, other))
        for one, other in combinations(both, 2)
    )


def _modifiers_exchanged(asked: Parsed, cached: Parsed) -> bool:
    """Two things of one kind, and a different one next to the same word: suppliers, contractor portal."""
    both = set(asked.content) & set(cached.content)
    one, other = (_modified(each, both) for each in (asked, cached))
    return any(
        one_noun == noun and exclude_each_other(word, another)
        for word, one_noun in one - other
        for another, noun in other - one
    )


def _modified(parsed: Parsed, both: set[str]) -> set[tuple[str, str]]:
    """The words with the ones before them, where both texts have the two."""
    return {(word, noun) for word, noun in pairwise(parsed.sequence) if {word, noun} <= both}


def _versions_exchanged(asked: Parsed, cached: Parsed) -> bool:
    """Source and target named by adjectives: a French version of the Italian text, from French to Italian."""
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


def _persons_exchanged(asked: Parsed, cached: Parsed) -> bool:
    """A person acts in one text and is acted on in the other: customers ask us, we ask customers."""
    if not _are_alike(asked, cached) or any(_is_passive(each.text) for each in (asked, cached)):
        return False
    one, other = (frozenset(without_politeness(each.text)) for each in (asked, cached))
    return any(
        actor in left and acted_on in right and acted_on not in left and actor not in right
        for left, right in ((one, other), (other, one))
        for actor, acted_on in CASES
    )


def _is_passive(text: str) -> bool:
    """Grants were given by us; but not "to us", who are the same in both voices."""
    return PASSIVE.search(text) is not None and not RECIPIENT.search(text)


def _are_alike(asked: Parsed, cached: Parsed) -> bool:
    """Nothing but small words differs, also inside phrases: ask us for, ask for."""
    left, right = ({part for each in parsed.content for part in each.split()} for parsed in (asked, cached))
    return left - small_words() == right - small_words() or difference(asked, cached) == WordDifference((), ())


def _actors_exchanged(asked: Parsed, cached: Parsed) -> bool:
    """The same words, and two of them in exchanged places around a verb: the CFO reviews what the team writes."""
    one, other = asked.content, cached.content
    if any(PASSIVE.search(each.text) for each in (asked, cached)):
        return False
    if len(one) != len(other) or set(one) != set(other) or not len(set(one)) == len(one) <= LONGEST_SENTENCE:
        return False
    place = {word: at for at, word in enumerate(other)}
    acting = _acting(asked) & _acting(cached)
    return any(
        place[before] > place[verb] > place[after]
        for at, verb in enumerate(one)
        if verb in acting
        for before in one[:at]
        for after in one[at + 1 :]
    )


def _acting(parsed: Parsed) -> set[str]:
    """The content terms that can be verbs: they follow another one, and no preposition or article."""
    return {word for earlier, word in pairwise(parsed.sequence) if {earlier, word} <= set(parsed.content)}


def _in_order(parsed: Parsed, common: list[str], but: tuple[str, str]) -> list[str]:
    """What both texts have besides the two; if it moves as well, only the sentence structure differs."""
    return [each for each in dict.fromkeys(parsed.content) if each in common and each not in but]


def _from_to(parsed: Parsed, first: str, second: str) -> set[str]:
    """The terms between the two, without articles."""
    between = parsed.sequence[parsed.sequence.index(first) + 1 : parsed.sequence.index(second)]
    return set(between) - terms("determiners")


def _are_one_way(one: set[str], other: set[str]) -> bool:
    """What stands between the two does not work both ways, and neither is a compound: index in a database, database
    index.
    """
    is_compound = bool(one) != bool(other) and one | other <= IN
    return BOTH_WAYS.isdisjoint(one | other) and not is_compound


CHECKS = (
    *(_operands_exchanged, _arguments_exchanged, _roles_exchanged, _sides_exchanged, _places_exchanged),
    *(_kinds_exchanged, _modifiers_exchanged, _versions_exchanged, questions_exchanged, _persons_exchanged),
    *(_actors_exchanged, _numbers_exchanged, _repeats_exchanged),
)
