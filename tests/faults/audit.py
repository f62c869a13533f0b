"""Checks after every fault: nothing is lost, nothing ends twice, and the ledger equals the provider's book."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tests.faults.stack import ENDED, Stack, text
from tests.support.processes import START_LIMIT_S, wait_until

CLASSES = {
    "input": "input",
    "cacheRead": "cache_read",
    "cacheWrite": "cache_write",
    "output": "output",
}
NANO_PER_PRICE_UNIT = 10**6
# In one process, because each start takes more CPU time than the wait.
RECONCILE = f"""
import time
from django.core.management import CommandError, call_command
end = time.monotonic() + {START_LIMIT_S}
while True:
    try:
        call_command("reconcile", "--strict")
        break
    except CommandError:
        if time.monotonic() > end:
            raise
        time.sleep(0.1)
"""


@dataclass(frozen=True)
class Verdict:
    """The figures of a run."""

    lost: int
    ended_twice: int
    ledger_minus_book_nano: int


def assert_sound(stack: Stack, request_ids: Sequence[str], limit_s: float = START_LIMIT_S) -> dict[str, str]:
    """Wait until all requests have ended and all books agree, or fail. Returns the status of each request."""
    statuses = stack.wait_until_ended(request_ids, limit_s)
    assert ended_more_than_once(stack, request_ids) == {}
    stack.bring_deadlines_forward()
    wait_until(lambda: not open_attempts(stack, request_ids), "every attempt to be closed")
    wait_until(lambda: not ledger_differences(stack), "the ledger to equal the book")
    wait_until(lambda: index_leftovers(stack) == {}, "the index to be drained")
    wait_until(lambda: counted(stack) == ended_by_status(stack), "every end to be counted once")
    return statuses


def assert_agreement(stack: Stack) -> None:
    """Wait until `reconcile` finds that the ledger, sums, and budgets agree, or fail."""
    stack.manage("shell", "--no-imports", "-c", RECONCILE)


def verdict(stack: Stack, request_ids: Sequence[str]) -> Verdict:
    """The figures to print after `assert_sound` has passed."""
    ended = [status for status in stack.statuses(request_ids).values() if status in ENDED]
    return Verdict(
        lost=len(request_ids) - len(ended),
        ended_twice=len(ended_more_than_once(stack, request_ids)),
        ledger_minus_book_nano=sum(booked - billed for booked, billed in ledger_differences(stack).values()),
    )


def ended_more_than_once(stack: Stack, request_ids: Iterable[str]) -> dict[str, int]:
    """Requests that entered a final status more than once, according to a database trigger."""
    wanted = set(request_ids)
    rows = stack.database.rows("SELECT request, after FROM transitions")
    ends = Counter(text(request) for request, after in rows if after in ENDED)
    return {request: count for request, count in ends.items() if count > 1 and request in wanted}


def started_in_order(stack: Stack, request_ids: Iterable[str]) -> list[str]:
    """The requests in the order in which they were claimed."""
    wanted = set(request_ids)
    rows = stack.database.rows("SELECT request FROM transitions WHERE after = 'processing' ORDER BY number")
    return [text(request) for (request,) in rows if text(request) in wanted]


def open_attempts(stack: Stack, request_ids: Iterable[str]) -> list[str]:
    """Requests with an attempt that is not settled."""
    wanted = set(request_ids)
    return [each for each in stack.requests_of_attempts("state NOT IN ('settled', 'released')") if each in wanted]


def ledger_differences(stack: Stack) -> dict[str, tuple[int, int]]:
    """Attempt -> (nano-dollars in the ledger, nano-dollars in the book), where they differ."""
    prices = _prices(stack)
    booked: dict[str, int] = defaultdict(int)
    for attempt, nano in stack.database.rows(
        "SELECT attempt_id, nano FROM cost_app_ledgerentry WHERE attempt_id IS NOT NULL"
    ):
        booked[text(attempt)] += int(nano)
    billed: dict[str, int] = defaultdict(int)
    for call in stack.book():
        tokens = {CLASSES[name]: count for name, count in call["usage"].items() if name in CLASSES}
        price = prices[call["attemptId"]]
        total = sum(count * price[name] for name, count in tokens.items())
        billed[call["attemptId"]] += -(-total // NANO_PER_PRICE_UNIT)
    attempts = booked.keys() | billed.keys()
    return {a: (booked[a], billed[a]) for a in attempts if booked[a] != billed[a]}


def _prices(stack: Stack) -> dict[str, dict[str, int]]:
    """Attempt -> the price at which it was admitted or sent. Some prices apply only at certain hours."""
    columns = ", ".join(f"price.{column}" for column in CLASSES.values())
    rows = stack.database.rows(
        f"SELECT attempt.id, {columns} FROM cost_app_attempt attempt "  # noqa: S608 - constants
        "JOIN cost_app_modelprice price ON price.id = attempt.price_id"
    )
    return {text(row[0]): dict(zip(CLASSES.values(), row[1:], strict=True)) for row in rows}


def index_leftovers(stack: Stack) -> dict[str, object]:
    """What Redis still contains although the queue is idle."""
    redis = stack.redis
    lanes = {key: redis.zcard(key) for key in redis.scan_iter("{aiq}:lane:*")}
    found = {
        "heads": redis.zcard("{aiq}:heads"),
        "delayed": redis.zcard("{aiq}:delayed"),
        "claims": redis.zcard("{aiq}:claims"),
        "lane_of": redis.hlen("{aiq}:lane_of"),
        "unsent": redis.hlen("{aiq}:unsent"),
        "in flight": {org: count for org, count in redis.hgetall("{aiq}:inflight").items() if int(count)},
        "depth": {lane: count for lane, count in redis.hgetall("{aiq}:depth").items() if int(count)},
        **lanes,
    }
    return {name: left for name, left in found.items() if left}


def counted(stack: Stack) -> dict[str, int]:
    """The queue's own totals."""
    (row,) = stack.database.rows("SELECT SUM(completed), SUM(failed), SUM(cancelled) FROM queue_app_queuetotal")
    return {status: int(count or 0) for status, count in zip(("completed", "failed", "cancelled"), row, strict=True)}


def ended_by_status(stack: Stack) -> dict[str, int]:
    """How many times requests entered each final status."""
    rows = stack.database.rows("SELECT after FROM transitions")
    ends = Counter(after for (after,) in rows if after in ENDED)
    return {status: ends[status] for status in ("completed", "failed", "cancelled")}
