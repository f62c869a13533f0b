"""Questions that differ in one or two words: the strict rules and the guard for small words."""

import pytest

from cache_app.guards.difference import difference
from cache_app.guards.objection import Objection, differs, only_one
from cache_app.guards.parsing import parse
from cache_app.guards.small_words import object_to_small_words
from cache_app.guards.strict import object_strictly, object_to_minimal_edit, object_to_question
from cache_app.guards.tables import is_turned

EDITS = [
    ("Clean the brush", "Clean the pan", differs("strict", "brush", "pan")),
    ("Clean the pan", "Clean the brush", differs("strict", "pan", "brush")),
    ("Clean the brush", "Clean my pan", differs("strict", "brush", "pan")),
    ("Clean the old brush", "Clean the wide pan", differs("strict", "old brush", "wide pan")),
    ("Clean the old brush", "Clean the large metal pan", None),
    ("How do I fix a clogged drain?", "How do I fix a blocked sink pipe?", None),
    ("Draw a tree", "Draw a tall tree", only_one("strict", "tall")),
    ("Draw a tall tree", "Draw a tree", only_one("strict", "tall")),
    ("Draw a tree", "Draw a tall green tree", None),
    ("Draw a tall green tree", "Draw a tree", None),
    ("Walk to the barn", "Walk from the barn", differs("order", "to", "from")),
    ("Walk from the barn", "Walk to the barn", differs("order", "from", "to")),
    ("Clean the brush for them", "Clean the brush at dawn", None),
    ("Is it a tree?", "Was it a tree?", None),
    ("Clean it room by room", "Clean it pan by pan", differs("strict", "room", "pan")),
    ("Clean it room by room by room", "Clean it pan by pan by pan", None),
    ("Clean the brush and the pan", "Clean the stove and the oven", None),
    ("Paint or fix a fixed fence", "Paint or move a fixed fence", differs("strict", "fix", "move")),
    ("Clean the card", "Clean the cart", differs("strict", "card", "cart")),
    ("Is it a report to me?", "Is it a report by me?", differs("order", "report to", "report by")),
    ("Do I pay tax on what I pay?", "Do I pay tax on what I receive?", differs("antonyms", "pay", "receiv")),
]
STRICT = [
    ("Print it", "Print it in red", only_one("strict", "red")),
    ("Print it in red", "Print it", only_one("strict", "red")),
    ("Print it in red", "Print it in blue", differs("strict", "red", "blu")),
    ("Print it in red", "Print a tree", differs("strict", "red", "tre")),
    ("Print a tree", "Print it in red", differs("strict", "tre", "red")),
    ("The tall red tree", "The tree", only_one("strict", "tall")),
    ("The tall tree", "The small green tree", None),
    ("The small green tree", "The tall tree", None),
    ("Clean the brush", "Clean the pan", None),
    ("Clean it", "Clean it and the brush", None),
    ("Ask about it", "Ask Brandt about it", only_one("strict", "brandt")),
    ("Ask Brandt about it", "Ask about it", only_one("strict", "brandt")),
    ("Clean the pan", "Clean the brush for Brandt", only_one("strict", "brandt")),
]
SMALL_WORDS = [
    ("Is all of it free?", "Is some of it free?", differs("wording", "all", "some")),
    ("Is some of it free?", "Is all of it free?", differs("wording", "some", "all")),
    ("Is all of it free?", "Is all of the it free?", None),
    ("May I share it?", "Must I share it?", differs("wording", "may", "must")),
    ("Can I eat bread?", "Should I eat bread?", differs("wording", "can", "should")),
    ("What can I eat?", "What should I eat?", None),
    ("Is it my car?", "Is it your car?", differs("wording", "my", "your")),
    ("Is it my car?", "Is it your truck?", None),
    ("How do I wash my car?", "How do you wash your car?", None),
    ("How does one wash one's car?", "How do I wash my car?", None),
    ("How do I wash your car?", "How do I wash my car?", differs("wording", "your", "my")),
    ("What can you bake in your oven?", "What can I bake in my oven?", None),
    ("Steps to wash it with milk", "Steps to wash it for milk", differs("wording", "with", "for")),
    ("Are they all free?", "Is it some free?", None),
    ("Do you offer bread?", "Do you have bread?", None),
    ("Can I only eat bread?", "Can I eat bread?", only_one("entities", "only")),
    ("Can I eat bread?", "Can I only eat bread?", only_one("entities", "only")),
    ("Can I only eat bread and butter?", "Can I eat bread and only butter?", only_one("entities", "only")),
    ("Can I eat only the bread?", "Can I eat the only bread?", None),
]


@pytest.mark.parametrize(("asked", "cached", "objection"), EDITS)
def test_an_edit_of_one_or_two_words_is_refused(asked: str, cached: str, objection: Objection | None) -> None:
    one, other = parse(asked), parse(cached)
    assert object_to_minimal_edit(one, other, difference(one, other)) == objection


@pytest.mark.parametrize(("asked", "cached", "objection"), STRICT)
def test_strict_rules_refuse_a_word_with_an_opposite(asked: str, cached: str, objection: Objection | None) -> None:
    one, other = parse(asked), parse(cached)
    assert object_strictly(one, other, difference(one, other)) == objection


@pytest.mark.parametrize(("asked", "cached", "objection"), SMALL_WORDS)
def test_small_words_that_exclude_each_other_are_refused(asked: str, cached: str, objection: Objection | None) -> None:
    one, other = parse(asked), parse(cached)
    assert object_to_small_words(one, other, difference(one, other)) == objection


def test_the_reason_names_the_question_of_the_asked_text_first() -> None:
    place, time = parse("Where is the meeting?"), parse("When is the meeting?")
    assert object_to_question(place, time) == differs("strict", "place", "time")
    assert object_to_question(time, place) == differs("strict", "time", "place")
    assert object_to_question(place, place) is None


@pytest.mark.parametrize(
    ("one", "other", "turned"),
    [
        (["to"], ["from"], True),
        (["to"], ["into"], False),
        (["to"], ["down"], False),
        (["up"], ["down"], True),
        (["by"], ["after"], True),
        (["out", "of"], ["into"], True),
        ([], ["up"], False),
        (["tree"], ["up"], False),
    ],
)
def test_directions_are_opposite_on_different_sides_of_one_line(one: list[str], other: list[str], turned: bool) -> None:
    assert is_turned(one, other) is is_turned(other, one) is turned
