"""What real processes race for in a budget; see `tests.support.race`. The argument is the number of calls."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from uuid import uuid4

from aiinfra.providers.tokens import count_tokens
from tests.support.race import Racer, meet, run_racer

if TYPE_CHECKING:
    from cost_app.models import Attempt

CHEAP, DEAR = ("deepseek", "deepseek-chat"), ("openai", "gpt-3.5-turbo")
BEFORE_MIDNIGHT = datetime(2026, 3, 10, 22, 30, tzinfo=UTC)
"""23:30 in Berlin."""


def _open(model: tuple[str, str] = CHEAP) -> "Attempt | str":
    """The attempt, or why it was refused."""
    from django.db import transaction

    from aiinfra.tenants.models import Organization
    from cost_app.budgets.refusals import BudgetRefusedError
    from cost_app.ledger.admission import AttemptOrder, open_attempt

    messages = [{"role": "user", "content": "Hi"}]
    order = AttemptOrder(Organization.objects.get(slug="north").pk, *model, messages, 100, request_id=uuid4())
    try:
        with transaction.atomic():
            return open_attempt(order)
    except BudgetRefusedError as refusal:
        return type(refusal).__name__


def _outcome(attempt: "Attempt | str") -> str:
    return attempt if isinstance(attempt, str) else "admitted"


def admit(argument: str) -> Iterator[object]:
    """Open calls and leave them open."""
    from aiinfra.tenants.scope import system_scope

    with system_scope():
        for _ in range(int(argument)):
            yield _outcome(_open())


def fall_back(argument: str) -> Iterator[object]:
    """Open calls, have them refused by the provider, and open each at a dearer model in the same transaction."""
    from django.db import transaction

    from aiinfra.tenants.scope import system_scope
    from cost_app.ledger import attempts

    with system_scope():
        for _ in range(int(argument)):
            attempt = _open()
            if isinstance(attempt, str):
                yield attempt
                continue
            attempts.dispatch(attempt, timedelta(seconds=30))
            with transaction.atomic():
                attempts.release(attempt, "SERVER_ERROR")
                yield _outcome(_open(DEAR))


def retry(argument: str) -> Iterator[object]:
    """Open calls that time out, and open each once more: the bound of the first stays booked."""
    from django.db import transaction

    from aiinfra.tenants.scope import system_scope
    from cost_app.ledger import attempts

    with system_scope():
        for _ in range(int(argument)):
            attempt = _open()
            if isinstance(attempt, str):
                yield attempt
                continue
            attempts.dispatch(attempt, timedelta(seconds=30))
            with transaction.atomic():
                attempts.estimate(attempt, "TIMEOUT")
                yield _outcome(_open())


def roll_over(argument: str) -> Iterator[object]:
    """Half of the calls before midnight, which are answered, and half after it."""
    from django.utils import timezone

    from aiinfra.providers.base import TokenUsage
    from aiinfra.tenants.scope import system_scope
    from cost_app.ledger import attempts

    count = int(argument)
    timezone.now = lambda: BEFORE_MIDNIGHT  # type: ignore[assignment]
    with system_scope():
        opened = [_open() for _ in range(count // 2)]
        meet()
        for attempt in opened:
            if not isinstance(attempt, str):
                attempts.settle(attempt, TokenUsage(input=10, output=1), {})
            yield f"before:{_outcome(attempt)}"
        meet()
        timezone.now = lambda: BEFORE_MIDNIGHT + timedelta(hours=1)
        for _ in range(count - count // 2):
            yield f"after:{_outcome(_open())}"


RACES: dict[str, Racer] = {race.__name__: race for race in (admit, fall_back, retry, roll_over)}

if __name__ == "__main__":
    run_racer(RACES, prepare=lambda: count_tokens(""))
