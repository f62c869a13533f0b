"""The normal form of names."""

import pytest

from aiinfra.names import normal_name, normal_names


@pytest.mark.parametrize("text", ["u1", " u1", "u1 ", "u1\u00a0", "u1\u200b", "\ufeffu1", "u1\n"])
def test_surrounding_whitespace_does_not_change_a_name(text: str) -> None:
    assert normal_name(text) == "u1"


@pytest.mark.parametrize(
    ("text", "name"), [("e\u0301", "\u00e9"), ("Ann Lee", "Ann Lee"), ("ANN", "ANN"), (" \u200b", "")]
)
def test_a_name_is_composed_and_keeps_case_and_inner_blanks(text: str, name: str) -> None:
    assert normal_name(text) == name
    assert normal_name(name) == name


def test_each_name_is_kept_once_in_order() -> None:
    assert normal_names(["b ", "a", "b", " "]) == ["b", "a"]
