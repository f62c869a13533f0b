import csv
import io
import re
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiinfra.csv_safe import safe_cell, safe_row

DANGEROUS = ["=1+1", "+1+1", "-1+cmd|' /C calc'!A0", "@SUM(A1)", "\uff1d1", "-", "+", "-1e"]


@pytest.mark.parametrize("text", DANGEROUS)
def test_formulas_are_prefixed_with_an_apostrophe(text: str) -> None:
    assert safe_cell(text) == f"'{text}"


@pytest.mark.parametrize(
    ("text", "cell"),
    [
        (";=1+2", "';'=1+2"),
        ("x;=1+2;y", "'x;'=1+2;y"),
        ('x; "=1', "'x;' \"=1"),
        ("x\t@SUM(A1)", "'x\t'@SUM(A1)"),
        ("x\n-1", "'x\n'-1"),
        ("\t=1", "'\t'=1"),
        ("\r", "'\r"),
        ("\n=1", "'\n'=1"),
        ("x;\uff1d1", "'x;'\uff1d1"),
        (" =1", "' =1"),
        ("a;b", "a;b"),
    ],
)
def test_formulas_after_a_delimiter_are_escaped(text: str, cell: str) -> None:
    assert safe_cell(text) == cell


@pytest.mark.parametrize("value", ["-5", "+5", "-0.000042", -5, Decimal("-1.50"), 0, "plain", "a=b", "", " x"])
def test_numbers_and_plain_text_are_unchanged(value: object) -> None:
    assert safe_cell(value) == str(value)


def test_none_is_an_empty_cell() -> None:
    assert safe_row([None, "=A1", 3]) == ["", "'=A1", "3"]


@given(st.lists(st.text(st.characters(exclude_characters="\0")), min_size=1))
def test_no_cell_starts_a_formula_after_a_round_trip_through_csv(cells: list[str]) -> None:
    file = io.StringIO(newline="")
    csv.writer(file).writerow(safe_row(cells))
    file.seek(0)
    for original, cell in zip(cells, next(csv.reader(file)), strict=True):
        assert cell.replace("'", "") == original.replace("'", "")
        for part in re.split("[;\t\r\n]", cell):
            start = part.lstrip()[:1]
            assert start not in set("=@\uff1d\uff0b\uff0d\uff20")
            assert start not in set("+-") or part.lstrip("+-")[:1].isdigit()
