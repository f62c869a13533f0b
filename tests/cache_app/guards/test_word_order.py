"""The same words in another order: parts that change their meaning, and parts that can move."""

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
]


@pytest.mark.parametrize(("one", "other"), EXCHANGED)
def test_exchanged_parts_make_another_question(one: str, other: str) -> None:
    assert object_to_order(parse(one), parse(other))
    assert object_to_order(parse(other), parse(one))


@pytest.mark.parametrize(("one", "other"), KEPT)
def test_parts_that_can_move_leave_the_question_unchanged(one: str, other: str) -> None:
    assert object_to_order(parse(one), parse(other)) is None
    assert object_to_order(parse(other), parse(one)) is None
