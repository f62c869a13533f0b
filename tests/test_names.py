"""The normal form of names."""

import pytest

from aiinfra.names import check_visible, normal_name, normal_names


@pytest.mark.parametrize("text", ["u1", " u1", "u1 ", "u1\u00a0", "u1\u200b", "\ufeffu1", "u1\n"])
def test_surrounding_whitespace_does_not_change_a_name(text: str) -> None:
    assert normal_name(text) == "u1"


@pytest.mark.parametrize(
    ("text", "name"), [("e\u0301", "\u00e9"), ("Ann Lee", "Ann Lee"), ("ANN", "ANN"), (" \u200b", "")]
)
def test_a_name_is_composed_and_keeps_case_and_inner_blanks(text: str, name: str) -> None:
    assert normal_name(text) == name
    assert normal_name(name) == name


@pytest.mark.parametrize(
    "text", ["", "Team \u00c4", "\u05e9\u05dc", "\U0001f468\u200d\U0001f4bb", "\u0645\u06cc\u200c\u062e"]
)
def test_words_of_any_script_are_visible(text: str) -> None:
    assert check_visible(text) == text


@pytest.mark.parametrize("character", "\0\n\x1b\x7f\u0085\u00ad\u200b\u200e\u2028\u202e\u2066\ufeff\U000e0041")
def test_characters_that_cannot_be_seen_are_refused(character: str) -> None:
    with pytest.raises(ValueError, match=f"such as U\\+{ord(character):04X}$"):
        check_visible(f"team{character}")


def test_each_name_is_kept_once_in_order() -> None:
    assert normal_names(["b ", "a", "b", " "]) == ["b", "a"]
