"""Why a provider's file and the ledger differ: the likely cause of each line.
Days and models are compared in tokens if the file has them, otherwise in money.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta

from cost_app.finance.invoices.layouts import OTHER
from cost_app.finance.invoices.ledger import DAYS_AFTER, Book
from cost_app.models import InvoiceLine

ONE_DAY = timedelta(days=1)
SMALL_NANO = 5_000_000
"""Half a cent, because consoles round."""
SMALL_PERMILLE = 1
"""Or a thousandth of the line."""
SHIFT_PERMILLE = 100
"""Neighboring days compensate if at most this share of their differences remains."""
REPORT_DELAY = timedelta(days=2)
"""Providers' reports are complete after one or two days."""

PRICE = "The price differs: the tokens are equal, but the amounts are not."
ESTIMATED = "{count} calls of this day have an unknown outcome and are booked at their maximum cost."
LATE = "Late booking: corrections on the following days booked the missing tokens."
SHIFT = "Time zone shift: the adjacent days compensate; the file's days may not be UTC days."
ALIAS = "Model name: the {side} has as many tokens under {model}."
NOT_THROUGH_US = "Usage outside aiinfra: another program uses the provider's account."
NO_TOKENS = "Not charged per token: tools and storage are not in the ledger."
NOT_COMPLETE = "The provider's report may be incomplete: the day had just ended."
NOT_IN_FILE = "The ledger has more: the file omits a project, a workspace or a key, or is from another account."


@dataclass(frozen=True)
class LineDifference:
    """What the file has in excess of the ledger. None if the file doesn't say."""

    tokens: int | None
    nano: int | None

    @property
    def amount(self) -> int:
        """In tokens if known, otherwise in nano-dollars."""
        return self.tokens if self.tokens is not None else self.nano or 0


def difference(line: InvoiceLine) -> LineDifference:
    """The difference of one line."""
    return LineDifference(
        None if line.invoice_tokens is None else line.invoice_tokens - line.ledger_tokens,
        None if line.invoice_nano is None else line.invoice_nano - line.ledger_nano,
    )


def agrees(line: InvoiceLine) -> bool:
    """Whether both sides agree: tokens exactly, money to half a cent or a thousandth."""
    found = difference(line)
    return not found.tokens and _is_small(found.nano or 0, line.invoice_nano or 0)


def _is_small(nano: int, whole: int) -> bool:
    return abs(nano) <= max(SMALL_NANO, abs(whole) * SMALL_PERMILLE // 1000)


def explain(lines: Iterable[InvoiceLine], book: Book, uploaded_on: date) -> None:
    """Set each line's likely cause, "" if it agrees."""
    every = list(lines)
    shifted = _shifted(every)
    orphans = _orphans(every)
    for line in every:
        line.likely_cause = "" if agrees(line) else _cause(line, book, uploaded_on, shifted, orphans)


def _cause(
    line: InvoiceLine, book: Book, uploaded_on: date, shifted: set[int], orphans: dict[tuple[date, str, int], set[str]]
) -> str:
    found = difference(line)
    ours = book.get((line.day, line.model))
    if line.token_class == OTHER:
        return NO_TOKENS
    if found.tokens == 0:
        return PRICE
    if ours and ours.estimated:
        return ESTIMATED.format(count=ours.estimated)
    if _was_booked_late(line, book):
        return LATE
    if other := _other_name(line, orphans):
        return ALIAS.format(side="ledger" if line.invoice_tokens else "file", model=other)
    if id(line) in shifted:
        return SHIFT
    if found.amount > 0:
        return NOT_THROUGH_US
    return NOT_COMPLETE if line.day + REPORT_DELAY > uploaded_on else NOT_IN_FILE


def _was_booked_late(line: InvoiceLine, book: Book) -> bool:
    """Whether the following days have corrections for at least the missing tokens, or this day has those of others."""
    missing = difference(line).tokens
    if not missing:
        return False
    if missing < 0:
        ours = book.get((line.day, line.model))
        return ours is not None and ours.later_tokens.get(line.token_class, 0) >= -missing
    after = (book.get((line.day + ONE_DAY * days, line.model)) for days in range(1, DAYS_AFTER + 1))
    return sum(day.later_tokens.get(line.token_class, 0) for day in after if day) >= missing


def _shifted(lines: list[InvoiceLine]) -> set[int]:
    """Runs of neighboring days whose differences cancel out."""
    by_series: dict[tuple[str, str], list[InvoiceLine]] = {}
    for line in lines:
        if not agrees(line):
            by_series.setdefault((line.model, line.token_class), []).append(line)
    found: set[int] = set()
    for series in by_series.values():
        for run in _runs(sorted(series, key=lambda line: line.day)):
            amounts = [difference(line).amount for line in run]
            if len(run) > 1 and abs(sum(amounts)) * 1000 <= sum(map(abs, amounts)) * SHIFT_PERMILLE:
                found |= {id(line) for line in run}
    return found


def _runs(series: list[InvoiceLine]) -> list[list[InvoiceLine]]:
    """Split at missing days."""
    runs: list[list[InvoiceLine]] = []
    for line in series:
        if runs and runs[-1][-1].day + ONE_DAY == line.day:
            runs[-1].append(line)
        else:
            runs.append([line])
    return runs


def _orphans(lines: list[InvoiceLine]) -> dict[tuple[date, str, int], set[str]]:
    """(day, class, tokens) -> the models that only one side has on that day with these tokens."""
    found: dict[tuple[date, str, int], set[str]] = {}
    for line in lines:
        file_tokens = line.invoice_tokens or 0
        if bool(file_tokens) != bool(line.ledger_tokens) and line.invoice_tokens is not None:
            found.setdefault((line.day, line.token_class, file_tokens + line.ledger_tokens), set()).add(line.model)
    return found


def _other_name(line: InvoiceLine, orphans: dict[tuple[date, str, int], set[str]]) -> str:
    """The model with these tokens that only the other side has. "" if there is none or more than one."""
    tokens = (line.invoice_tokens or 0) + line.ledger_tokens
    others = orphans.get((line.day, line.token_class, tokens), set()) - {line.model}
    return others.pop() if len(others) == 1 else ""
