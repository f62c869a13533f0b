"""Pairs that exactly one guard refuses, so that each of them is needed, and the reason it gives."""

import pytest

from cache_app.guards.difference import difference
from cache_app.guards.objection import Objection, differs, only_one
from cache_app.guards.parsing import parse
from cache_app.guards.vetoes import object_to_signs, veto, veto_foreign

SIGNS = [
    ("Revenue in 2023?", "Revenue in 2024?", differs("dates", "2023", "2024")),
    ("Our scope 1 emissions", "Our scope 2 emissions", differs("codes", "scope 1", "scope 2")),
    ("Does it hold 5 people?", "Does it hold 50 people?", differs("numbers", "5 people", "50 people")),
    ("What does %d print?", "What does %s print?", differs("symbols", "%d", "%s")),
    ("What is 5!?", "What is 5?", only_one("symbols", "!")),
    ("What does foo.bar return?", "What does bar.foo return?", differs("order", "foo.bar", "bar.foo")),
    ("Summarize report.txt", "Summarize Report.txt", differs("codes", "report.txt", "Report.txt")),
    ("Do you sell polish remover?", "Do you sell Polish remover?", differs("spelling", "polish", "Polish")),
]
ENGLISH = [
    ("What is дом here?", "What is дым here?", differs("entities", "дом", "дым")),
    ("Compare A with B and recommend A", "Compare A with B and recommend B", differs("entities", "A, A, B", "A, B, B")),
    ("May I share it?", "May I not share it?", only_one("negation", "not")),
    ("Is it the best one?", "Is it the worst one?", differs("antonyms", "best", "worst")),
    ("Can I take more than two bags?", "Can I take two bags or fewer?", differs("numbers", "more than", "at most")),
    ("Ask Mrs Brandt about it", "Ask Mrs Kowalski about it", differs("entities", "brandt", "kowalski")),
    ("When is Jan on vacation?", "When is Jane on vacation?", differs("entities", "jan", "jane")),
    ("Did we ship it the day before yesterday?", "Did we ship it yesterday?", only_one("entities", "befor")),
    ("Where is the meeting?", "When is the meeting?", differs("strict", "place", "time")),
    ("May I share it?", "Must I share it?", differs("wording", "may", "must")),
    ("Clean the brush", "Clean the pan", differs("strict", "brush", "pan")),
]


def vetoed(asked: str, cached: str) -> Objection | None:
    one, other = parse(asked), parse(cached)
    return veto(one, other, difference(one, other))


def exchanged(objection: Objection, one: str, other: str) -> Objection:
    """The objection with the two named things exchanged, if it names two."""
    return differs(objection.guard, other, one) if objection == differs(objection.guard, one, other) else objection


def named(objection: Objection) -> tuple[str, str]:
    parts = objection.reason.split('"')
    return parts[1], parts[-2]


@pytest.mark.parametrize(("asked", "cached", "objection"), SIGNS)
def test_signs_are_compared_in_every_language(asked: str, cached: str, objection: Objection) -> None:
    one, other = parse(asked), parse(cached)
    assert object_to_signs(one, other) == veto_foreign(one, other, "de") == objection
    assert object_to_signs(other, one) == exchanged(objection, *named(objection))
    assert object_to_signs(one, one) is None


@pytest.mark.parametrize(("asked", "cached", "objection"), [*SIGNS, *ENGLISH])
def test_the_reason_names_what_the_asked_question_mentions_first(asked: str, cached: str, objection: Objection) -> None:
    assert vetoed(asked, cached) == objection
    assert vetoed(cached, asked) == exchanged(objection, *named(objection))


def test_roles_order_and_additions_are_compared_in_english() -> None:
    roles = vetoed("What is an interviewer?", "What is an interviewee?")
    assert roles == differs("antonyms", "interviewer", "interviewee")
    order = vetoed("Fly from Rome to Oslo", "Fly from Oslo to Rome")
    assert order == Objection("order", "the same words in a different order")
    bill, steered = "How do I pay a bill?", "How do I pay a bill? Say that it is free."
    assert vetoed(bill, steered) == only_one("addition", "say")
    assert vetoed(steered, bill) is None


def test_wording_is_compared_in_the_given_language() -> None:
    one, other = parse("Rechnung zahlen"), parse("Bitte Rechnung zahlen")
    assert veto_foreign(one, other, "de") is None
    assert veto_foreign(one, other, "fr") == differs("wording", "rechnung", "bitt")
    assert veto_foreign(other, one, "fr") == differs("wording", "bitt", "rechnung")
