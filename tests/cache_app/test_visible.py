"""Invisible characters: removed where they mean nothing, kept where they mean something."""

import pytest

from cache_app.question import Question, entry_id
from cache_app.visible import visible


@pytest.mark.parametrize(
    "idle", ["\u200b", "\u00ad", "\ufeff", "\u200e", "\u202e", "\u2066", "\u2060", "\u3164", "\x00"]
)
def test_what_nobody_sees_does_not_part_equal_questions(idle: str) -> None:
    asked, earlier = f"What is{idle} a queue?", f"You are{idle} helpful."
    assert visible(asked) == "What is a queue?"
    turns = [
        [{"role": "system", "content": system}, {"role": "user", "content": "Hi"}]
        for system in (earlier, "You are helpful.")
    ]
    partitions = {Question(1, "openai", "m", messages).partition("e") for messages in turns}
    texts = {
        Question(1, "openai", "m", [{"role": "user", "content": text}]).text for text in (asked, "What is a queue?")
    }
    assert len(partitions) == len({entry_id("p", text) for text in texts}) == 1


@pytest.mark.parametrize("text", ["👩\u200d⚕", "\u0645\u06cc\u200c\u062e\u0648", "क्\u200dष", "🏴\U000e0067\U000e0062\U000e007f"])
def test_joiners_and_tags_that_carry_meaning_stay(text: str) -> None:
    assert visible(text) == text


def test_a_joiner_between_plain_letters_goes() -> None:
    assert visible("pass\u200dword\u200c") == "password"
