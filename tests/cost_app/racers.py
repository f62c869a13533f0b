"""Concurrent processes that change the ledger, alerts, and months; see `tests.support.race`."""

from collections.abc import Iterator

from tests.support.race import Racer, run_racer, wait_for_all


def reprice(argument: str) -> Iterator[object]:
    """Reprice the only call; the argument is `REPRICING/COST`. All racers start from the same cost."""
    from aiinfra.tenants.scope import system_scope
    from cost_app.ledger import attempts
    from cost_app.models import Attempt, Repricing

    repricing, cost = argument.split("/")
    with system_scope():
        attempt = Attempt.objects.select_related("price").get()
        wait_for_all()
        assert attempt.price
        yield attempts.reprice(attempt, int(cost), Repricing.objects.get(id=repricing), attempt.price)


def check(_argument: str) -> Iterator[object]:
    """Check budgets at the same time as the other racers; yield the causes that were sent to channels."""
    from aiinfra.tenants.models import Organization
    from aiinfra.tenants.scope import organization_scope
    from cost_app.alerts import checks
    from cost_app.models import Alert

    notified: list[Alert] = []
    explain = checks._explained

    def explain_together(*arguments: object) -> object:
        explained = explain(*arguments)  # type: ignore[arg-type]
        wait_for_all()
        return explained

    checks._explained, checks.notify_opened = explain_together, notified.append  # type: ignore[assignment]
    organization = Organization.objects.get()
    with organization_scope(organization.pk):
        checks.check_budgets(organization.pk)
    yield from (alert.cause for alert in notified)


def close(_argument: str) -> Iterator[object]:
    """Close last month; yield whether this racer closed it."""
    from django.utils import timezone

    from aiinfra.tenants.models import Organization
    from aiinfra.tenants.scope import organization_scope
    from cost_app.finance.month_close import close_month
    from cost_app.finance.months import INSTANT, calendar_of, month_at

    organization = Organization.objects.get()
    with organization_scope(organization.pk):
        calendar = calendar_of(organization.pk)
        current = month_at(calendar, [], timezone.now())
        month = month_at(calendar, [], current.starts_at - INSTANT)
        wait_for_all()
        yield close_month(organization=organization, month=month, actor="user:x").is_new


RACES: dict[str, Racer] = {race.__name__: race for race in (reprice, check, close)}

if __name__ == "__main__":
    run_racer(RACES)
