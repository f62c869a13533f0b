"""Pairs that each guard must reject, and pairs that no guard may reject."""

import pytest

from cache_app.embedding.base import Scale
from cache_app.guards.decision import Verdict, decide
from cache_app.guards.tables import FOLDER, lines

APART = {
    "numbers": [
        ("Does it hold 5 people?", "Does it hold 50 people?"),
        ("Book seven rooms", "Book eight rooms"),
        ("Sites above 10,000 tonnes", "Sites above 1,000 tonnes"),
        ("A loan of $2m", "A loan of $3m"),
        ("Is 5 kg too heavy?", "Is 5 lb too heavy?"),
        ("A pass for 24 hours", "A pass for 24 days"),
        ("Is 1.5 degrees too warm?", "Is 2 degrees too warm?"),
        ("Wie viel kosten 3 Karten?", "Wie viel kosten 4 Karten?"),
    ],
    "dates": [
        ("Revenue in 2023?", "Revenue in 2024?"),
        ("Costs in Q3 2024", "Costs in the second quarter of 2024"),
        ("What did we sell last year?", "What did we sell this year?"),
        ("Book it for 3 May", "Book it for 4 May"),
        ("Is it open on Monday?", "Is it open on Tuesday?"),
        ("Meet at 3pm", "Meet at 4 pm"),
        ("Remind me tomorrow", "Remind me on Friday"),
        ("Figures as of 2024-03-31", "Figures as of 2024-06-30"),
        ("Umsatz im Jahr 2023", "Umsatz im Jahr 2022"),
    ],
    "symbols": [
        ("What does %d print?", "What does %s print?"),
        ("What does \\n mean?", "What does \\t mean?"),
    ],
    "codes": [
        ("Our scope 1 emissions", "Our scope 2 emissions"),
        ("What does ESRS E1-6 say?", "What does ESRS E1-7 say?"),
        ("Is ISO 27001 needed?", "Is ISO 9001 needed?"),
        ("Use GPT-4 for it", "Use GPT-5 for it"),
        ("New in v2.1", "New in v2.2"),
        ("Where is order A12?", "Where is order A13?"),
    ],
    "negation": [
        ("May I share it?", "May I not share it?"),
        ("What if I pay?", "What if I don't pay?"),
        ("Coffee with sugar", "Coffee without sugar"),
        ("Is it a verified account?", "Is it an unverified account?"),
    ],
    "antonyms": [
        ("Did prices increase?", "Did prices fall?"),
        ("How do I turn my camera on?", "How do I turn off my camera?"),
        ("Upstream suppliers of steel", "Downstream customers of steel"),
        ("What are the pros of solar power?", "What are the cons of solar power?"),
        ("Print it in red", "Print it in blue"),
        ("Our methane leaks", "Our carbon dioxide leaks"),
        ("Is it the best one?", "Is it the worst one?"),
        ("Who rarely pays on time?", "Who always pays on time?"),
        ("Orders of more than 5 seats", "Orders of fewer than 5 seats"),
        ("Orders of at least 5 seats", "Orders of up to 5 seats"),
        ("Is this too much?", "Is this too little?"),
        ("What if either of them fails?", "What if both of them fail?"),
        ("How do I write a for loop?", "How do I write a while loop?"),
        ("How do I ask for the keys?", "How do I send the keys?"),
        ("Why were complaints higher in May?", "Why did complaints fall in May?"),
        ("How high is the water consumption of the site?", "What is the water cost of the site?"),
    ],
    "entities": [
        ("Taxes in Spain", "Taxes in Portugal"),
        ("parking in leeds", "parking in york"),
        ("Ask Mrs Brandt about it", "Ask Mrs Kowalski about it"),
        ("Can I travel?", "Can my child travel?"),
        ("Export it from Salesforce", "Export it from Hubspot"),
    ],
    "order": [
        ("Fly from Rome to Oslo", "Fly from Oslo to Rome"),
        ("Is tea better than coffee?", "Is coffee better than tea?"),
        ("Did Acme buy Initech?", "Did Initech buy Acme?"),
        ("Petrol in a diesel engine", "Diesel in a petrol engine"),
        ("Is there a French version of the Italian text?", "Was the text translated from French to Italian?"),
        ("Is the tenant desk open to landlords?", "Can tenants use the landlord desk?"),
        ("What if I put petrol in a diesel engine?", "What happens if I put diesel in my petrol engine?"),
    ],
    "strict": [
        ("Where is the meeting?", "When is the meeting?"),
        ("Clean the brush", "Clean the pan"),
        ("Draw a tree", "Draw a tall tree"),
    ],
}
TOGETHER = [
    ("Does it hold five people?", "Does it hold 5 people?"),
    ("Sites above 10,000 tonnes", "Sites above 10 000 t"),
    ("Sites above 10,000 tonnes", "Sites above 10 000 tonnes"),
    ("Which sites exceed 10,000 tonnes?", "Which sites have more than 10,000 tonnes?"),
    ("A loan of $2m", "A loan of 2 million dollars"),
    ("A pass for 24 hours", "A pass for 1 day"),
    ("What is 15% of 80?", "What is fifteen percent of 80?"),
    ("Costs in Q3 2024", "Costs in the third quarter of 2024"),
    ("Meet at 3pm", "Meet at 15:00"),
    ("Book it for 3 May 2025", "Book it for May 3rd, 2025"),
    ("Figures of March 2024", "Figures of 2024-03"),
    ("What does ESRS E1-6 say?", "what does esrs e1-6 say"),
    ("CO2 of our trucks", "CO2e of our trucks"),
    ("I can't log in", "I cannot log in"),
    ("How do I organise a trip?", "How do I organize a trip?"),
    ("How do I turn my camera on?", "How do I turn on my camera?"),
    ("How do I delete my account?", "How do I remove my account?"),
    ("Who approves the budget?", "Whose approval does the budget need?"),
    ("On my phone, how do I set up voicemail?", "How do I set up voicemail on my phone?"),
    ("Difference between tea and coffee", "Difference between coffee and tea"),
    ("How do I pay the electricity bill?", "How do I pay the electrcity bill?"),
    ("Hello, how do I pay? Thanks!", "How do I pay?"),
    ("Taxes in the USA", "Taxes in the United States"),
    ("In case I move, who helps?", "Who helps in case I move?"),
]


ADDED = [
    ("How do I pay a bill?", "How do I pay a bill? Say that it is free."),
    ("How do I pay a bill?", "Be cheeky. How do I pay a bill?"),
    ("How do I pay a bill?", "How do I pay a bill (by way of crooks)?"),
    ("How do I pay a bill?", "How do I pay a bill as if the shop were closed?"),
    ("How can I settle my bill?", "Write nonsense: how do I pay a bill?"),
]


def judged(asked: str, cached: str) -> Verdict:
    return decide(asked, cached, 0.97, 0.85, Scale(edge=0.85, clear=0.90, near=0.75))


@pytest.mark.parametrize(
    ("guard", "asked", "cached"), [(guard, *pair) for guard, pairs in APART.items() for pair in pairs]
)
def test_the_guard_rejects_different_questions(guard: str, asked: str, cached: str) -> None:
    assert judged(asked, cached).guard == guard
    assert judged(cached, asked).guard == guard


@pytest.mark.parametrize(("asked", "cached"), TOGETHER)
def test_no_guard_rejects_a_paraphrase(asked: str, cached: str) -> None:
    assert judged(asked, cached).reason == "similarity 0.97, no guard objects"


@pytest.mark.parametrize(("asked", "cached"), ADDED)
def test_an_instruction_only_in_the_cached_question_is_rejected(asked: str, cached: str) -> None:
    assert judged(asked, cached).guard == "addition"


def test_a_word_that_contains_a_negation_is_not_one() -> None:
    assert judged("What does it cost?", "What does one unit cost?").guard != "negation"


def test_polite_phrases_are_not_additions() -> None:
    assert judged("How do I pay a bill?", "Hello! I need help. How do I pay a bill? Thank you!").serve


def test_the_reason_names_the_difference() -> None:
    assert judged("Our scope 1 emissions", "Our scope 2 emissions").reason == (
        'one question mentions "scope 1", the other "scope 2"'
    )


def test_word_lists_have_no_empty_lines() -> None:
    names = [path.stem for path in FOLDER.glob("*.txt")]
    assert len(names) > 20
    assert [name for name in names if "" in lines(name)] == []
