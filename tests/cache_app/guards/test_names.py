"""Names: one letter may be a typo or another person, and short forms may be new or spelled out."""

from itertools import pairwise
from string import ascii_lowercase, ascii_uppercase

import pytest

from cache_app.guards.difference import difference
from cache_app.guards.opposites import object_to_names, object_to_negation, object_to_roles
from cache_app.guards.parsing import parse
from cache_app.guards.short_names import object_to_short_names

OTHER_NAMES = [
    ("Where does Meier work?", "Where does Maier work?"),
    ("Where does Brian work?", "Where does Brain work?"),
    ("Where does Li work?", "Where does Lu work?"),
    ("Where does Fisher work?", "Where does Fiser work?"),
    ("Where does Christian work?", "Where does Christina work?"),
    ("Where does Jenkins work?", "Where does Jankins work?"),
    ("Where does Petersen work?", "Where does Pedersen work?"),
    ("Where does Kare work?", "Where does Karen work?"),
    ("Where does Meier work?", "Please tell me where does Maier work now?"),
    ("Explain the VAT rules", "Explain the GST rules"),
    ("Explain UNION in SQL", "Explain UNION ALL in SQL"),
    ("Explain UNION", "Explain UNION ALL"),
    ("Is it in pt_BR?", "Is it in pt_PT?"),
    ("When was Marie Smith hired?", "When was Mary Smith hired?"),
]
MANY = [f"{one}{other}qx" for one in "BCDFG" for other in "aeiou"]
SAME_NAMES = [
    ("Where does A work?", "Where does B work?"),
    ("Where does Ficher work?", "Where does Fischer work?"),
    ("Where does Fletcer work?", "Where does Fletcher work?"),
    ("Where does Flethcer work?", "Where does Fletcher work?"),
    ("Where does Patersen work?", "Where does Petersen work?"),
    ("Where do the Meier work?", "Where do the Meiers work?"),
    ("Is it in Russia now?", "Is it in Russian now?"),
    ("Where does José work?", "Where does Jose work?"),
    ("Where does Anne work?", "Where does Ane work?"),
    ("Where does Kare work?", "Please tell me where does Karen work now?"),
    ("Did Simon meet Simone?", "Did Simone meet Simon?"),
    ("EXPLAIN THE VAT RULES", "Explain the GST rules"),
    ("Explain the VAT rules", "Explain the vat rules of the GST"),
    ("Explain the VAT rules", "Explain the value added tax rules of the EU"),
    ("Explain UNION in SQL", "Explain UNION A in SQL"),
    ("Explain UNION in SQL", "Explain UNION All in SQL"),
    ("Explain UNION in SQL", "Explain UNION in SQL."),
    ("Show the list", "Show a list NOW"),
    ("Is it in pt_BR?", "Is it in en_US?"),
    ("Is it in pt_BR?", "Is it a pt_BR text?"),
]
OTHER_ENTITIES = [
    ("Ask Brandt about it", "Ask Kowalski about it"),
    ("Ask Kowalski about it", "Ask Deutsche Bank about it"),
    ("Ask Sam about it", "Ask Samuel about it"),
    ("Ask Q about it", "Ask quiz players like Brandt about it"),
    ("Ask for RADIUS here", "Ask for remote authentication dial in user service of Brandt here"),
    ("Ask Wells Fargo about it", "Ask Wells Farog about it"),
]
SAME_ENTITIES = [
    ("Ask about it", "Ask Kowalski about it"),
    ("Ask Alex about it", "Ask Alexander about it"),
    ("Ask HR about it", "Ask human resources of Brandt about it"),
    ("Ask for NAFTA here", "Ask for north american free trade agreement of Brandt here"),
    ("Is the AI Act strict?", "Is the act on ai by Brandt strict?"),
    ("Ask Deutsche Bank about it", "Ask Deutshce Bank about it"),
    ("Ask Burger King about it", "Ask Buregr King about it"),
]
NEGATED = [
    ("Is the door locked?", "Is the door unlocked?"),
    ("Can I pay?", "Can I not pay?"),
    ("Can I pay?", "Can I not pay if nobody can not travel?"),
]
AFFIRMED = [
    ("Is the suit fit?", "Is the suit unfit?"),
    ("Can I pay if I travel?", "Can I not pay if I do not travel?"),
    ("Can I not pay?", "Is it so that I can not pay?"),
]
EXCHANGED_ROLES = [
    ("Is the payer at home?", "Is the payee at home?"),
    ("Are the trainers at home?", "Are the trainees at home?"),
    ("Is the lessor at home?", "Is the lessee at home?"),
]
SAME_ROLES = [
    ("Does the trainer pay the trainee?", "Does the trainee pay the trainer?"),
    ("Er, is it at home?", "Ee, is it at home?"),
    ("Is the trainer at home?", "Is the payee at home?"),
]


def both_ways(pairs: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """The pairs, and the pairs with their texts swapped."""
    return [*pairs, *((other, one) for one, other in pairs)]


@pytest.mark.parametrize(("asked", "cached"), both_ways(OTHER_NAMES))
def test_a_name_with_another_letter_is_another_name(asked: str, cached: str) -> None:
    assert object_to_short_names(parse(asked), parse(cached))


@pytest.mark.parametrize(("asked", "cached"), both_ways(SAME_NAMES))
def test_a_typo_or_another_form_is_the_same_name(asked: str, cached: str) -> None:
    assert object_to_short_names(parse(asked), parse(cached)) is None


@pytest.mark.parametrize(("asked", "cached"), both_ways(OTHER_ENTITIES))
def test_two_names_that_the_other_question_lacks_are_different_entities(asked: str, cached: str) -> None:
    one, other = parse(asked), parse(cached)
    assert object_to_names(one, other, difference(one, other))


@pytest.mark.parametrize(("asked", "cached"), both_ways(SAME_ENTITIES))
def test_a_name_that_the_other_question_abbreviates_is_the_same_entity(asked: str, cached: str) -> None:
    one, other = parse(asked), parse(cached)
    assert object_to_names(one, other, difference(one, other)) is None


@pytest.mark.parametrize(("asked", "cached"), both_ways(NEGATED))
def test_a_negation_in_one_question_reverses_it(asked: str, cached: str) -> None:
    assert object_to_negation(parse(asked), parse(cached))


@pytest.mark.parametrize(("asked", "cached"), both_ways(AFFIRMED))
def test_equally_negated_questions_are_not_reversed(asked: str, cached: str) -> None:
    assert object_to_negation(parse(asked), parse(cached)) is None


@pytest.mark.parametrize(("asked", "cached"), both_ways(EXCHANGED_ROLES))
def test_who_acts_is_not_who_is_acted_on(asked: str, cached: str) -> None:
    assert object_to_roles(parse(asked), parse(cached))


@pytest.mark.parametrize(("asked", "cached"), both_ways(SAME_ROLES))
def test_roles_that_both_questions_have_do_not_differ(asked: str, cached: str) -> None:
    assert object_to_roles(parse(asked), parse(cached)) is None


def test_a_reason_quotes_each_name_from_its_own_question() -> None:
    found = object_to_short_names(parse("Where does Meier work?"), parse("Where does Maier work?"))
    assert found
    assert found.reason == 'one question mentions "meier", the other "maier"'


@pytest.mark.parametrize(("others", "compared"), [(19, True), (20, False)])
def test_a_longer_list_of_names_is_not_compared_to_its_end(others: int, compared: bool) -> None:
    listed = " and ".join(MANY[:others])
    tail = "who were all of them at the table in the garden on that day as well, as I have been told"
    one = f"we met {listed} and Meier {tail}"
    left, right = parse(one), parse(f"we met Maier {tail}")
    assert bool(object_to_short_names(left, right)) is bool(object_to_short_names(right, left)) is compared


@pytest.mark.parametrize(("others", "compared"), [(19, True), (20, False)])
def test_a_longer_list_of_short_forms_is_not_compared_to_its_end(others: int, compared: bool) -> None:
    listed = " and ".join(one + other for one, other in list(pairwise(ascii_uppercase))[:others])
    spelled_out = " ".join(f"{letter}eqx" for letter in ascii_lowercase)
    left, right = parse(f"explain {listed} and ZZ to me"), parse(f"explain {spelled_out} and VAT to me")
    assert bool(object_to_short_names(left, right)) is bool(object_to_short_names(right, left)) is compared
