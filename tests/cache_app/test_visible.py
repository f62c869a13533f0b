"""Invisible characters are removed unless they carry meaning."""

import pytest

from cache_app.question import Question, entry_id
from cache_app.visible_text import visible_text


@pytest.mark.parametrize(
    "idle", ["\u200b", "\u00ad", "\ufeff", "\u200e", "\u202e", "\u2066", "\u2060", "\u3164", "\x00"]
)
def test_invisible_characters_do_not_separate_equal_questions(idle: str) -> None:
    asked = f"What is{idle} a queue?"
    texts = {
        Question(1, "openai", "m", [{"role": "user", "content": text}]).text for text in (asked, "What is a queue?")
    }
    assert texts == {visible_text(asked)} == {"What is a queue?"}
    assert len({entry_id("p", text) for text in texts}) == 1


def test_earlier_turns_must_match_exactly() -> None:
    last = {"role": "user", "content": "Hi"}
    one, other = ([{"role": "system", "content": text}, last] for text in ("Be kind.", "Be\u200b kind."))
    assert Question(1, "openai", "m", one).partition("e") != Question(1, "openai", "m", other).partition("e")


@pytest.mark.parametrize(
    "text", ["👩\u200d⚕", "\u0645\u06cc\u200c\u062e\u0648", "क्\u200dष", "🏴\U000e0067\U000e0062\U000e007f"]
)
def test_joiners_and_tags_that_carry_meaning_are_kept(text: str) -> None:
    assert visible_text(text) == text


def test_zero_width_joiners_between_latin_letters_are_removed() -> None:
    assert visible_text("pass\u200dword\u200c") == "password"
