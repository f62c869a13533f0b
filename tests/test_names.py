"""Normalization of names."""

import pytest
from pydantic import TypeAdapter, ValidationError

from aiinfra.names import Tags, UserName, check_visible, normal_name, normal_names


@pytest.mark.parametrize("text", ["u1", " u1", "u1 ", "u1\u00a0", "u1\u200b", "\ufeffu1", "u1\n"])
def test_surrounding_whitespace_does_not_change_a_name(text: str) -> None:
    assert normal_name(text) == "u1"


@pytest.mark.parametrize(
    "text",
    ["u\u200b1", "u\u202e1", "\u2066u1\u2069", "u\u00ad1", "u\u00001", " \ufeff u1 \u200e", "u\u034f1", "u1\u3164"],
)
def test_invisible_characters_do_not_change_a_name(text: str) -> None:
    assert normal_name(text) == "u1"


@pytest.mark.parametrize("blank", ["  ", "\u00a0", "\t", "\u2028", "\u3000 ", " \u200b ", "\u3164", "\u2800", "\uffa0"])
def test_whitespace_between_words_becomes_one_space(blank: str) -> None:
    assert normal_name(f"Ann{blank}Lee") == "Ann Lee"


@pytest.mark.parametrize(
    ("text", "name"), [("e\u0301", "\u00e9"), ("Ann Lee", "Ann Lee"), ("ANN", "ANN"), (" \u200b", "")]
)
def test_names_are_nfc_normalized_and_keep_case(text: str, name: str) -> None:
    assert normal_name(text) == name
    assert normal_name(name) == name


@pytest.mark.parametrize(
    "text", ["", "Team \u00c4", "\u05e9\u05dc", "\U0001f468\u200d\U0001f4bb", "\u0645\u06cc\u200c\u062e"]
)
def test_text_in_any_script_is_accepted(text: str) -> None:
    assert check_visible(text) == text


HIDDEN = "\0\n\x1b\x7f\u0085\u00ad\u034f\u115f\u200b\u200e\u2028\u202e\u2066\u2800\u3164\ufeff\uffa0\U000e0041"


@pytest.mark.parametrize("character", HIDDEN)
def test_invisible_characters_are_refused(character: str) -> None:
    with pytest.raises(ValueError, match=f"such as U\\+{ord(character):04X}\\.$"):
        check_visible(f"team{character}")


def test_duplicate_and_empty_names_are_dropped_in_order() -> None:
    assert normal_names(["b ", "a", "b", " "]) == ["b", "a"]


def test_names_in_payloads_are_normalized() -> None:
    assert TypeAdapter(UserName).validate_python("Jose\u0301 ") == "Jos\u00e9"
    assert TypeAdapter(Tags).validate_python(["Zu\u0308rich", "Z\u00fcrich\u200b", " "]) == ["Z\u00fcrich"]


@pytest.mark.parametrize("kind", [UserName, Tags])
def test_a_name_too_long_after_normalization_is_refused(kind: type[object]) -> None:
    name = "\ufb2c" * 60  # NFC expands each to three characters
    with pytest.raises(ValidationError, match="at most"):
        TypeAdapter(kind).validate_python([name] if kind is Tags else name)
