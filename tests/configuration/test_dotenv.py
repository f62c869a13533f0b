"""Parsing of `.env` files."""

import os
from pathlib import Path

import pytest

from aiinfra.configuration.dotenv import UnreadableLineError, load_dotenv, parsed


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("A=b", "b"),
        ("  A = b  ", "b"),
        ("export A=b", "b"),
        ("A=b # comment", "b"),
        ("A=b\t# comment", "b"),
        ("A=b#c", "b#c"),
        ("A=b c # d # e", "b c"),
        ("A=", ""),
        ("A=   # nothing", ""),
        ("A='b # c'", "b # c"),
        ("A='b' # c", "b"),
        ('A="b # c" # d', "b # c"),
        ('A=""', ""),
        (r"A='b\n'", r"b\n"),
        (r'A="b\n\"c\" \\ \d"', 'b\n"c" \\ \\d'),
        ("A=it's", "it's"),
        ("A=postgres://u:p@h/db?a=b", "postgres://u:p@h/db?a=b"),
        ("A=[::1],localhost", "[::1],localhost"),
    ],
)
def test_a_line_is_parsed_like_other_dotenv_tools_do(line: str, value: str) -> None:
    assert parsed(line) == {"A": value}


def test_comments_are_ignored_and_the_last_value_of_a_name_wins() -> None:
    assert parsed("# A=1\n\n   # B=2\nC=3\r\nC=4\n") == {"C": "4"}


@pytest.mark.parametrize(
    "line",
    [
        "sesame",
        "A='sesame",
        'A="sesame',
        "A='sesame' c",
        "1A=sesame",
        "A=#sesame",
        "=sesame",
        "A B=sesame",
        "A=sesame\0",
    ],
)
def test_an_invalid_line_is_reported_by_number_without_its_text(line: str) -> None:
    with pytest.raises(UnreadableLineError, match="line 2 must be") as error:
        parsed(f"OK=1\n{line}")
    assert "sesame" not in str(error.value)


def test_the_environment_takes_precedence_over_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / ".env"
    path.write_text("\ufeffIN_BOTH=file\nIN_FILE=file\nEMPTY=file\n", encoding="utf-8")
    monkeypatch.setattr(os, "environ", {"IN_BOTH": "environment", "EMPTY": ""})
    load_dotenv(path)
    assert os.environ == {"IN_BOTH": "environment", "IN_FILE": "file", "EMPTY": ""}


def test_a_missing_file_is_ignored(tmp_path: Path) -> None:
    load_dotenv(tmp_path / "none")
