import csv
import io
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiinfra.csv_safe import safe_cell, safe_row

DANGEROUS = ["=1+1", "+1+1", "-1+cmd|' /C calc'!A0", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "\uff1d1", "-", "+", "-1e"]


@pytest.mark.parametrize("text", DANGEROUS)
def test_what_a_spreadsheet_would_run_gets_an_apostrophe(text: str) -> None:
    assert safe_cell(text) == f"'{text}"


@pytest.mark.parametrize("value", ["-5", "+5", "-0.000042", -5, Decimal("-1.50"), 0, "plain", "a=b", "", " x"])
def test_numbers_and_plain_text_stay_as_they_are(value: object) -> None:
    assert safe_cell(value) == str(value)


def test_nothing_is_an_empty_cell() -> None:
    assert safe_row([None, "=A1", 3]) == ["", "'=A1", "3"]


@given(st.lists(st.text(st.characters(exclude_characters="\0")), min_size=1))
def test_no_cell_starts_a_formula_after_a_round_trip_through_csv(cells: list[str]) -> None:
    file = io.StringIO(newline="")
    csv.writer(file).writerow(safe_row(cells))
    file.seek(0)
    for original, cell in zip(cells, next(csv.reader(file)), strict=True):
        assert cell in {original, f"'{original}"}
        assert cell[:1] not in set("=@\t\r\n") and (cell[:1] not in set("+-") or cell.lstrip("+-")[:1].isdigit())
