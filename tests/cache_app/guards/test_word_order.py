"""The same words in another order: parts that change their meaning, and parts that can move."""

from string import ascii_lowercase

import pytest

from cache_app.guards.order import object_to_order
from cache_app.guards.parsing import parse

EXCHANGED = [
    ("What does range(1, 10) do?", "What does range(10, 1) do?"),
    ("How do I copy data from Excel to Oracle?", "How does one move rows to Excel from Oracle?"),
    ("Can I fly from Oslo via ships to Rome?", "What is the fare to Oslo from Rome?"),
    ("What is x - y?", "What is y - x, please?"),
    ("Did Brandt pay Kowalski?", "Did Kowalski pay Brandt?"),
    ("Who invited Anna?", "Who did Anna invite?"),
    ("Do customers ask us?", "Do we ask customers?"),
    ("Do I swap tea with milk or replace tea with milk?", "Do I swap tea with milk or replace milk with tea?"),
    ("How do I copy data from Excel to Oracle?", "How do I copy data to Excel?"),
    ("How do I copy data from Excel?", "How do I copy data to Excel from Oracle?"),
    ("Can I fly from this and Brandt via ships to Acme?", "What is the fare to Brandt from Acme?"),
    ("Was Brandt in Rome hired by Kowalski?", "Was Kowalski in Rome also hired by Brandt?"),
    ("Was Brandt hired by garden window Acme?", "Was Acme hired by window garden Brandt?"),
    ("Our version of our own Italian text", "How do I translate it into Italian?"),
    ("Which files import this module?", "Which files does this module import?"),
    ("What depends on libssl?", "What does libssl depend on?"),
    ("Who can edit my documents?", "Whose documents can I edit?"),
    ("Is every square a rectangle?", "Is every rectangle a square?"),
    ("I have a dog. Can I rent it with my cat?", "I have a cat. Can I rent it with my dog?"),
    ("Is it tea or milk? It is tea", "Is it tea or milk? It is milk"),
]
KEPT = [
    ("What does range(1, 10) do?", "What would range(1,10) do?"),
    ("What does range(1, 10) do?", "What does range(2, 10) do?"),
    ("How do I copy data from Excel to Oracle?", "How do I copy data to Oracle from Excel?"),
    ("How do I copy data from Excel to Oracle?", "How do I copy data from Excel to Access?"),
    ("What is the difference between tea and coffee?", "What is the difference between coffee and tea?"),
    ("How do I learn quickly?", "How do I quickly learn?"),
    ("Are 3 and 5 prime?", "Are 5 and 3 prime?"),
    ("Are 3 and 5 prime?", "Can 5 be added to 3?"),
    ("Who invited Anna?", "Who has invited Anna?"),
    ("Can I fly from this or that Brandt via ships to Acme?", "What is the fare to Brandt from Acme?"),
    ("Was Brandt in Rome on ships hired by Kowalski?", "Was Kowalski in Rome on ships also hired by Brandt?"),
    ("Was Brandt hired by garden window metal Acme?", "Was Acme hired by metal window garden Brandt?"),
    ("Our version of all of our Italian text", "How do I translate it into Italian?"),
    ("How long does shipping to Norway take?", "How long does it take to ship to Norway?"),
    ("What is the purpose of an index in a database?", "What is the purpose of a database index?"),
    ("What is the price of tea and the price of milk?", "What is the price of milk and the price of tea?"),
    ("What does libssl mean?", "What libssl means?"),
    ("Whose documents are these?", "Whose documents were these?"),
    ("How do I look up a word?", "How do I look a word up?"),
    ("Can contractors access the supplier portal?", "Is the supplier portal accessible to contractors?"),
    ("Do tall trees and small trees grow?", "Do small trees and tall trees grow?"),
]


@pytest.mark.parametrize(("one", "other"), EXCHANGED)
def test_exchanged_parts_make_another_question(one: str, other: str) -> None:
    assert object_to_order(parse(one), parse(other))
    assert object_to_order(parse(other), parse(one))


@pytest.mark.parametrize(("length", "judged"), [(30, True), (31, False)])
def test_who_does_what_is_compared_up_to_the_longest_sentence(length: int, judged: bool) -> None:
    words = [f"{one}{other}q" for one in "jkx" for other in ascii_lowercase][: length - 3]
    rest = " ".join(f"with {word}" for word in words)
    one, other = f"When did Mozart teach Salieri {rest}?", f"When will Salieri teach Mozart {rest}?"
    assert len(parse(one).content) == length
    assert bool(object_to_order(parse(one), parse(other))) is judged


@pytest.mark.parametrize(("one", "other"), KEPT)
def test_parts_that_can_move_leave_the_question_unchanged(one: str, other: str) -> None:
    assert object_to_order(parse(one), parse(other)) is None
    assert object_to_order(parse(other), parse(one)) is None
