"""The guard `wording`: texts in languages without lists of opposites may differ in small words only."""

import pytest

from cache_app.guards.objection import Objection, differs, only_one
from cache_app.guards.wording import object_to_wording

PAIRS = [
    ("de", "Rechnung zahlen", "Rechnung senden", differs("wording", "zahl", "send")),
    ("de", "Rechnung senden", "Rechnung zahlen", differs("wording", "send", "zahl")),
    ("de", "Rechnung Lieferung", "Rechnung", only_one("wording", "lieferung")),
    ("de", "Rechnung", "Rechnung Lieferung Konto", only_one("wording", "lieferung")),
    ("de", "Kann ich bitte die Rechnung zahlen?", "Rechnung zahlen", None),
    ("de", "Konnten wir die Rechnung zahlen?", "Rechnung zahlen", differs("wording", "konnt", "rechnung")),
    ("fr", "Payer la facture, s'il vous plait", "Payer la facture s'il vous plaît", None),
    ("de", "Könnten wir die Rechnung zahlen?", "Rechnung zahlen", None),
    ("pt", "Pagar à fatura", "Pagar a fatura", None),
    ("de", "Passes", "Pass", None),
    ("de", "Straße sperren", "Strasse sperren", None),
    ("de", "Tier", "Tiere", None),
    ("de", "Rechnung", "Rechnungen", None),
    ("de", "Autos", "Auto", None),
    ("de", "Hase", "Hasen", None),
    ("de", "Rads", "Rad", differs("wording", "rads", "rad")),
    ("de", "Rade", "Rad", differs("wording", "rade", "rad")),
    ("de", "Tagen", "Tag", differs("wording", "tage", "tag")),
    ("de", "Wo finde ich meine Rechnung?", "Wo kann ich meine Rechnung finden?", None),
    ("de", "Finde meine Rechnung", "Meine Rechnung finden", None),
    ("de", "Setze mein Passwort zurück", "Passwort zurücksetzen", None),
    ("de", "Katze jagt Hund Maus", "Katze Hund Maus jagt", None),
    ("de", "Katze Hund jagt Maus", "Katze Hund Maus jagt", differs("wording", "jagt", "maus")),
    ("de", "Katze jagt Hund Maus", "jagt Hund Katze Maus", differs("wording", "katz", "jagt")),
    ("nl", "Waar vind ik rekening", "Waar kan ik rekening vind", None),
    ("fr", "Trouver facture", "facture trouver", differs("wording", "trouver", "factur")),
]


@pytest.mark.parametrize(("language", "asked", "cached", "objection"), PAIRS)
def test_only_small_words_endings_and_the_place_of_the_verb_may_differ(
    language: str, asked: str, cached: str, objection: Objection | None
) -> None:
    assert object_to_wording(asked, cached, language) == objection
    assert (object_to_wording(cached, asked, language) is None) == (objection is None)
