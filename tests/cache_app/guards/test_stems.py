"""Typos, derived words, and stems."""

import pytest

from cache_app.guards.parsing import parse
from cache_app.guards.stems import is_derived, is_typo, stem


@pytest.mark.parametrize(
    ("one", "other"),
    [("invoice", "invoce"), ("invoce", "invoice"), ("budget", "budegt"), ("budget", "bodget"), ("caches", "cache")],
)
def test_one_wrong_missing_or_swapped_letter_is_a_typo(one: str, other: str) -> None:
    assert is_typo(one, other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("budget", "gadget"),
        ("budget", "buckle"),
        ("price", "slice"),
        ("cat", "cut"),
        ("invoice", "invocing"),
        ("code1", "code2"),
        ("import", "export"),
        ("budget", "budtge"),
    ],
)
def test_different_words_are_not_typos(one: str, other: str) -> None:
    assert not is_typo(one, other)
    assert not is_typo(other, one)


@pytest.mark.parametrize(
    ("one", "other", "derived"),
    [("approve", "approval", True), ("emission", "emit", False), ("report", "reports", True), ("cost", "coast", False)],
)
def test_words_with_the_same_root_are_derived(one: str, other: str, derived: bool) -> None:
    assert is_derived(one, other) is is_derived(other, one) is derived


@pytest.mark.parametrize(
    ("word", "stemmed"),
    [
        ("organized", "organis"),
        ("organising", "organis"),
        ("invoices", "invoic"),
        ("paid", "pay"),
        ("bus", "bus"),
        ("stopping", "stop"),
        ("adding", "add"),
        ("seed", "seed"),
        ("bring", "bring"),
        ("doing", "doing"),
        ("hours", "hour"),
        ("your", "your"),
        ("bus", "bus"),
        ("analysis", "analys"),
    ],
)
def test_forms_of_a_word_have_one_stem(word: str, stemmed: str) -> None:
    assert stem(word) == stemmed


FAMILIES = """
fall falls falling fell fallen|call calls called calling|install installs installed installing
stop stops stopped stopping|travel travels traveled traveling travelled travelling|control controlled controlling
enrol enroll enrolled enrolling|fulfil fulfill fulfilled fulfilling|occur occurs occurred occurring
refer referred referring|fit fitted fitting|sniff sniffed sniffing|staff staffed staffing|pass passes passed passing
buzz buzzes buzzed buzzing|add adds added adding|try tries tried trying|cry cries cried crying
apply applies applied applying|copy copies copied copying|tie ties tied tying|die dies died dying
lie lies lied lying|dye dyes dyed|stay stays stayed staying|plan plans planned planning|plane planes planed planing
hop hops hopped hopping|hope hopes hoped hoping|file files filed filing|fill fills filled filling
code codes coded coding|rate rates rated rating|use uses used using|age ages aged aging|owe owes owed owing
sue sues sued suing|type types typed typing|quit quits quitting|size sizes sized|make makes made making
take takes took taken taking|write writes wrote written writing|lose loses lost losing
choose chooses chose chosen choosing|freeze freezes froze frozen freezing|leave leaves left leaving
merge merges merged|agree agrees agreed agreeing|guarantee guarantees guaranteed|see sees seeing
exceed exceeds exceeded exceeding|embed embeds embedded embedding|need needs needed needing|need needed
forget forgets forgot forgotten forgetting|pay pays paid paying|argue argues argued arguing
queue queues queued queuing|create creates created creating|box boxes|tax taxes taxed taxing|bus buses|gas gases
status statuses|process processes|match matches matched|wish wishes|quiz quizzes|cache caches cached caching
phase phases|city cities|day days|hero heroes|shoe shoes|cookie cookies|movie movies|calorie calories|crisis crises
diagnosis diagnoses|index indices indexes|matrix matrices|alias aliases|bias biases|lens lenses|child children
mouse mice|knife knives|colour colours coloured color colors|behaviour behavior
organise organises organised organize organizing|analyse analyzed analyzing|favourite favorite|woman women
"""
APART = "plan plane|hop hope|file fill|code cod|rate rat|site sit|strip stripe|see seed|them theme|us use"


@pytest.mark.parametrize("family", FAMILIES.strip().replace("\n", "|").split("|"))
def test_all_forms_of_a_word_have_one_stem(family: str) -> None:
    assert len({stem(form) for form in family.split()}) == 1


@pytest.mark.parametrize("words", APART.split("|"))
def test_a_mute_e_and_a_doubled_letter_tell_words_apart(words: str) -> None:
    one, other = words.split()
    assert stem(one) != stem(other)


@pytest.mark.parametrize(
    ("text", "statements"),
    [
        ("Reset the router.", 0),
        ("Reset the router. Restart the modem.", 2),
        ("Reset the router. Restart the modem. Check the cable.", 3),
    ],
)
def test_statements_are_separated_if_there_are_several(text: str, statements: int) -> None:
    assert len(parse(text).statements) == statements
