"""The accounting life cycle of one provider call.

reserved -> dispatched -> settled | estimated, or released if the provider certainly charged nothing. Every step is a
conditional UPDATE on the state, so that doing it twice, late, or from two processes books it once. The steps join the
caller's transaction if there is one.
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import Sum

from aiinfra import database_time
from aiinfra.providers.base import TokenUsage
from aiinfra.tenants.shapes import UnlessSet
from cost_app.budgets import holds
from cost_app.ledger.billing import Bill, bill_of
from cost_app.ledger.entries import book_entry
from cost_app.models import Attempt, LedgerEntry, LedgerKind, ModelPrice, Repricing, UsageIssue
from cost_app.models import AttemptState as State
from cost_app.models.ledger import token_columns, usage_columns
from cost_app.prices.lookup import ModelNotPricedError, price_of
from cost_app.prices.pricing import cost_of

DEADLINE_GRACE = timedelta(seconds=5)
MS = timedelta(milliseconds=1)


def current_attempt(request_id: UUID, number: int) -> Attempt:
    """A request's attempt with its price, for the steps below. Raises Attempt.DoesNotExist."""
    attempt = Attempt.objects.fetch("price", request_id=request_id, number=number)
    if attempt is None:
        raise Attempt.DoesNotExist(f"request {request_id} has no attempt {number}")
    return attempt


def dispatch(attempt: Attempt, timeout: timedelta) -> bool:
    """Record that the call is sent now: if the process crashes after this, the money counts as spent. False if the
    attempt is not open.
    """
    now = database_time.now()
    deadline = now + timeout + DEADLINE_GRACE
    price = _price_now(attempt)
    columns = {"dispatched_at": now, "deadline_at": deadline, "price_id": price and price.pk}
    if not _move(attempt, {State.RESERVED}, State.DISPATCHED, **columns):
        return False
    attempt.dispatched_at, attempt.price = now, price
    return True


def _price_now(attempt: Attempt) -> ModelPrice | None:
    """Providers bill by the time at which a call begins, and it may have waited into another price window.

    A call that was admitted without a price and without a reservation stays so until its period is repriced.
    """
    if attempt.price is None:
        return None
    try:
        return price_of(attempt.provider, attempt.model)
    except ModelNotPricedError:
        return attempt.price


@transaction.atomic(savepoint=False)
def settle(
    attempt: Attempt, usage: TokenUsage, raw_usage: dict[str, Any], error_code: str = "", error_message: str = ""
) -> None:
    """Book what the provider charged. After an estimate only the difference is booked; a repeat books nothing."""
    bill = bill_of(attempt.provider, attempt.model, usage, attempt.price, attempt.dispatched_at)
    columns = {**_billed(bill), "raw_usage": raw_usage, **usage_columns(usage)}
    if error_code:
        columns |= {"error_code": error_code, "error_message": error_message}
    errors = int(bool(error_code))
    if _end(attempt, {State.RESERVED, State.DISPATCHED}, State.SETTLED, **columns):
        _charge(attempt, LedgerKind.USAGE, bill.nano, usage, calls=1, errors=errors, latency_ms=_latency_ms(attempt))
    elif _end(attempt, {State.ESTIMATED}, State.SETTLED, **columns):
        booked = _booked(attempt)
        holds.split_from_openings(attempt, booked.nano)
        _charge(attempt, LedgerKind.ADJUST, bill.nano, usage, booked=booked)
    elif _end(attempt, {State.RELEASED}, State.SETTLED, **columns):
        holds.split_from_openings(attempt, 0)
        _charge_late(attempt, bill.nano, usage)


def _billed(bill: Bill) -> dict[str, Any]:
    return {"cost_nano": bill.nano, "price_id": bill.price and bill.price.pk, "usage_issue": bill.issue}


@dataclass(frozen=True)
class _Booked:
    """What the ledger has for an attempt: nano-dollars, and tokens by column."""

    nano: int
    tokens: dict[str, int]


NOTHING_BOOKED = _Booked(0, token_columns(TokenUsage()))


def _booked(attempt: Attempt) -> _Booked:
    names = NOTHING_BOOKED.tokens
    sums = LedgerEntry.objects.filter(attempt=attempt).aggregate(**{name: Sum(name) for name in ("nano", *names)})
    return _Booked(sums["nano"] or 0, {name: sums[name] or 0 for name in names})


def _latency_ms(attempt: Attempt) -> int | None:
    """Never below 0: a clock that was set back during the call must not keep its cost out of the ledger."""
    return max(0, (database_time.now() - attempt.dispatched_at) // MS) if attempt.dispatched_at else None


def _charge(
    attempt: Attempt, kind: LedgerKind, cost: int, usage: TokenUsage, booked: _Booked = NOTHING_BOOKED, **measures: Any
) -> None:
    """An unpriced call has no maximum cost that it could exceed."""
    within_bound = min(cost, attempt.bound_nano)
    measures |= {name: count - booked.tokens[name] for name, count in token_columns(usage).items()}
    _book(attempt, kind, within_bound - booked.nano, usage, **measures)
    if cost > within_bound:
        _book(attempt, LedgerKind.OVERRUN, cost - within_bound)
    holds.close(attempt, cost)


def _charge_late(attempt: Attempt, cost: int, usage: TokenUsage) -> None:
    """The call was charged although it had been closed as free: its worker was frozen and sent it after all."""
    kinds = set(LedgerEntry.objects.filter(attempt=attempt).values_list("kind", flat=True))
    if LedgerKind.USAGE in kinds:
        _book(attempt, LedgerKind.OVERRUN, cost, usage)
        holds.close(attempt, cost)
    else:
        _charge(attempt, LedgerKind.USAGE, cost, usage, calls=int(LedgerKind.FAILED not in kinds))


@transaction.atomic(savepoint=False)
def estimate(
    attempt: Attempt, error_code: str = "", error_message: str = "", raw_usage: dict[str, Any] | None = None
) -> None:
    """Book the maximum cost of a call whose outcome is unknown; `settle` corrects it once the outcome is known."""
    columns = {"error_code": error_code, "error_message": error_message, "raw_usage": raw_usage or {}}
    _estimate(attempt, attempt.bound_nano, TokenUsage(), columns, errors=1)


@transaction.atomic(savepoint=False)
def settle_uncounted(attempt: Attempt, counted: TokenUsage | None, raw_usage: dict[str, Any]) -> None:
    """Book an answered call whose provider sent no usable counts: `settle` corrects it if they become known.

    `counted` is our own token count of prompt and answer; None if the texts are unknown, in which case the maximum cost
    is booked. Our count never costs more than the maximum.
    """
    cost, usage = attempt.bound_nano, counted or TokenUsage()
    if counted and attempt.price:
        cost = min(cost, cost_of(counted, attempt.price, at=attempt.dispatched_at))
    columns = {"raw_usage": raw_usage, "usage_issue": UsageIssue.NO_USAGE, **token_columns(usage)}
    _estimate(attempt, cost, usage, columns, errors=0, latency_ms=_latency_ms(attempt))


def _estimate(attempt: Attempt, cost: int, usage: TokenUsage, columns: dict[str, Any], **measures: Any) -> None:
    columns |= {"cost_nano": cost, "deadline_at": database_time.now() + DEADLINE_GRACE}
    if _end(attempt, {State.DISPATCHED}, State.ESTIMATED, **columns):
        _book(attempt, LedgerKind.USAGE, cost, usage, estimated=True, calls=1, **measures)
        holds.close(attempt, cost)


@transaction.atomic(savepoint=False)
def refund(attempt: Attempt) -> None:
    """Reverse an estimate: the provider says that it did not charge the call."""
    if _end(attempt, {State.ESTIMATED}, State.RELEASED, cost_nano=0, **NOTHING_BOOKED.tokens):
        booked = _booked(attempt)
        holds.split_from_openings(attempt, booked.nano)
        tokens = {name: -count for name, count in booked.tokens.items()}
        _book(attempt, LedgerKind.ADJUST, -booked.nano, None, **tokens)
        holds.close(attempt, 0)


@transaction.atomic(savepoint=False)
def release(attempt: Attempt, error_code: str = "", error_message: str = "") -> None:
    """End an attempt that the provider certainly did not charge. A call that was sent is in the ledger nevertheless."""
    columns = {"error_code": error_code, "error_message": error_message}
    if _end(attempt, {State.DISPATCHED}, State.RELEASED, **columns):
        _book(attempt, LedgerKind.FAILED, 0, calls=1, errors=1)
        holds.close(attempt, 0)
    elif _end(attempt, {State.RESERVED}, State.RELEASED, **columns):
        holds.close(attempt, 0)


@transaction.atomic(savepoint=False)
def reprice(attempt: Attempt, cost_nano: int, repricing: Repricing, price: ModelPrice, issue: str = "") -> bool:
    """Correct a call's cost to another price version: the difference is a ledger row dated today.

    False if another process has changed the cost, or this run has already corrected it.
    """
    booked = attempt.cost_nano
    rows = Attempt.objects.filter(id=attempt.id, state__in=[State.SETTLED, State.ESTIMATED], cost_nano=booked)
    if LedgerEntry.objects.filter(attempt=attempt, repricing=repricing).exists():
        return False
    if not rows.update(cost_nano=cost_nano, price=price, usage_issue=issue):
        return False
    holds.split_from_openings(attempt, booked)
    _book(attempt, LedgerKind.ADJUST, cost_nano - booked, repricing=repricing)
    holds.close(attempt, cost_nano)
    return True


@transaction.atomic(savepoint=False)
def withdraw(request_id: UUID, number: int, error_code: str) -> bool:
    """End a request's attempt if its call was not sent; `dispatch` refuses it afterwards. False if it was sent."""
    attempt = current_attempt(request_id, number)
    if not _end(attempt, {State.RESERVED}, State.RELEASED, error_code=error_code):
        return False
    holds.close(attempt, 0)
    return True


def abandon(request_id: UUID, number: int, error_code: str) -> None:
    """End the attempt of a dead worker: free if it was never sent, its maximum cost if it may have been charged."""
    if not withdraw(request_id, number, error_code):
        estimate(current_attempt(request_id, number), error_code)


def _end(attempt: Attempt, before: set[State], after: State, **columns: Any) -> bool:
    return _move(attempt, before, after, finished_at=UnlessSet(database_time.now()), **columns)


def _move(attempt: Attempt, before: set[State], after: State, **columns: Any) -> bool:
    """The one way to change an attempt: only from an expected state, so that one of two concurrent callers does it."""
    moved = Attempt.objects.change({"state": after, **columns}, id=attempt.id, state__in=before)
    if moved:
        attempt.cost_nano = columns.get("cost_nano", attempt.cost_nano)
        attempt.error_code = columns.get("error_code", attempt.error_code)
    return bool(moved)


def _book(attempt: Attempt, kind: LedgerKind, nano: int, usage: TokenUsage | None = None, **columns: Any) -> None:
    """Other `columns` take precedence over those of the usage."""
    book_entry(**of_attempt(attempt), kind=kind, nano=nano, **{**usage_columns(usage or TokenUsage()), **columns})


def of_attempt(attempt: Attempt) -> dict[str, Any]:
    """What a ledger row copies from its attempt."""
    return {
        "organization_id": attempt.organization_id,
        "attempt": attempt,
        "request_id": attempt.request_id,
        "provider": attempt.provider,
        "model": attempt.model,
        "api_key_id": attempt.api_key_id,
        "user_ref": attempt.user_ref,
        "tags": attempt.tags,
        "priority": attempt.priority,
    }
