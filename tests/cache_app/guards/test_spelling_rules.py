"""Each rule of the guard `spelling` on both sides of its boundary."""

import pytest

from cache_app.guards.objection import Objection, differs, only_one
from cache_app.guards.spelling import object_to_script, object_to_spelling

PAIRS = [
    ("Is 'run' a verb?", "Is 'ran' a verb?", differs("strict", "run", "ran")),
    ("Is 'run' a verb?", "Is ran a verb?", None),
    (
        "Is 'one two three four' old?",
        "Is 'one two three six' old?",
        differs("strict", "one two three four", "one two three six"),
    ),
    ("Is 'one two three four five' old?", "Is 'one two three four six' old?", None),
    ("Is 'X' old?", "Is 'x' old?", differs("strict", "X", "x")),
    ("Is 'Xy' old?", "Is 'xy' old?", None),
    ("Do you sell polish now?", "Do you sell Polish now?", differs("spelling", "polish", "Polish")),
    ("do you sell polish now?", "Do you sell Polish now?", None),
    ("DO YOU SELL POLISH NOW?", "Do you sell polish now?", None),
    ("Polish it Now", "polish it Now", None),
    ("Yes. Polish it Now", "Yes. polish it Now", None),
    ("What does FOO do in this script?", "What does foo do in this script?", differs("spelling", "FOO", "foo")),
    ('Is "don\u2019t" old?', 'Is "doesn\u2019t" old?', differs("strict", "don't", "doesn't")),
    ("Who says us today?", "So we told US that?", differs("spelling", "us", "US")),
    ("Who says polish today?", "So we told Polish that?", None),
    ("What is a pâté?", "What is a pate?", differs("spelling", "pâté", "pate")),
    ("What is a pâté brûlé?", "What is a pate brule?", None),
    ("The pâté here", "Here a pate", None),
    ("the pêcheur fled", "fled the pécheur", differs("spelling", "pêcheur", "pécheur")),
    ("the pêcheur côte", "the pécheur coté", differs("spelling", "côte", "coté")),
    ("the boy's books", "the boys' books", differs("spelling", "boy's", "boys'")),
    ("the boy\u2019s books", "the boy's books", None),
    ("the boys books", "the boys' books", None),
    ("a book: tea", "a book tea", only_one("spelling", ":")),
    ("a; b c", "a b c", only_one("spelling", ";")),
    ("a book, tea now go", "a book tea now go", None),
    ("a book, tea, now go", "a book tea now go", only_one("spelling", ", ,")),
    ("one, two three four", "one two, three four", only_one("spelling", ", ,")),
    ("one two. Three four", "one two three four", None),
    ("eat, Grandma", "eat Grandma", only_one("spelling", ",")),
    ("go now, Anna", "go now Anna", only_one("spelling", ",")),
    ("please, Grandma dear go", "please Grandma dear go", None),
    ("You leave.", "You leave?", only_one("spelling", "?")),
    ("You leave", "You leave?", None),
    ("You leave!", "You leave.", None),
    ("How is it.", "How is it?", None),
]


@pytest.mark.parametrize(("asked", "cached", "objection"), PAIRS)
def test_a_spelling_that_changes_the_question_is_refused(asked: str, cached: str, objection: Objection | None) -> None:
    assert object_to_spelling(asked, cached) == objection
    assert (object_to_spelling(cached, asked) is None) == (objection is None)


@pytest.mark.parametrize(
    ("asked", "cached", "objection"),
    [
        ("Ω here", "ω here", differs("entities", "Ω", "ω")),
        ("Дом here", "дом here", None),
        ("дом дым", "дым дом", differs("entities", "дом дым", "дым дом")),
        ("x", "дом", differs("entities", "", "дом")),
        ("tea", "coffee", None),
    ],
)
def test_words_in_other_scripts_must_be_the_same(asked: str, cached: str, objection: Objection | None) -> None:
    assert object_to_script(asked, cached) == objection
