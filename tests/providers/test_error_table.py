"""The table of error codes and their handling."""

import re

from aiinfra.providers.base import HANDLING, PROVIDER_FAULTS, RETRYABLE, TRY_ELSEWHERE, Action, ErrorCode
from tests.support.processes import ROOT

ROW = re.compile(r"^\| `([A-Z_]+)` \| (.+) \| (.+) \| (yes|no) \|$", re.MULTILINE)


def test_every_code_has_one_row() -> None:
    assert list(HANDLING) == list(ErrorCode)


def test_documentation_has_the_same_table() -> None:
    page = (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8")
    printed = [(code, when, then, trips == "yes") for code, when, then, trips in ROW.findall(page)]
    assert printed == [(code.value, row.when, row.then.value, row.trips) for code, row in HANDLING.items()]


def test_handling_matches_the_table() -> None:
    assert {code for code in ErrorCode if HANDLING[code].then is Action.FAIL} == set(
        ErrorCode
    ) - RETRYABLE - TRY_ELSEWHERE
    assert not RETRYABLE & TRY_ELSEWHERE
    assert {code for code, row in HANDLING.items() if row.trips} <= PROVIDER_FAULTS & RETRYABLE
