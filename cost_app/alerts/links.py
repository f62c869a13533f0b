"""Where an alert leads: its budget, the requests it is about, and the costs or prices behind it."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from urllib.parse import urlencode

from django.urls import reverse
from django.utils import timezone

from aiinfra.local_minutes import minute_text
from aiinfra.tenants.models import ApiKey
from cost_app.calendar import ONE_DAY
from cost_app.models import Alert, AlertKind, Budget, BudgetScope

HOUR_OF_CAUSE = re.compile(r"(?:spike:hour|volume):(\d{4}-\d\d-\d\dT\d\d:\d\d)")
PRICE_CAUSE = re.compile(r"price:([^/]+)/(.+)", re.DOTALL)


@dataclass(frozen=True)
class PageLink:
    """A page and what its button says."""

    title: str
    url: str


def links_of(alert: Alert) -> list[PageLink]:
    """The pages where an organization's alert can be investigated; one query for a budget of an API key."""
    return list(_links(alert))


def _links(alert: Alert) -> Iterator[PageLink]:
    if alert.budget:
        yield PageLink("View budget", reverse("budget", args=[alert.budget.pk]))
        yield _requests(_scope_filter(alert.budget))
    if hour := HOUR_OF_CAUSE.fullmatch(alert.cause):
        begin, zone = datetime.fromisoformat(f"{hour[1]}+00:00"), timezone.get_current_timezone()
        ends = (begin, begin + timedelta(hours=1))
        yield _requests(dict(zip(("since", "until"), (minute_text(end, zone) for end in ends), strict=True)))
    if price := PRICE_CAUSE.fullmatch(alert.cause):
        yield PageLink("View prices", f"{reverse('prices')}?{urlencode({'text': price[2]})}")
        yield _requests({"provider": price[1], "model": price[2]})
    if alert.kind == AlertKind.ERROR_RATE:
        yield _requests({"status": "failed"})
    if alert.explanation.get("from"):
        yield PageLink("View costs", f"{reverse('costs')}?{_days(alert.explanation)}")


def _days(why: dict[str, str]) -> str:
    """The days of the explanation, the last one included."""
    return urlencode({"from": why["from"], "to": (date.fromisoformat(why["to"]) - ONE_DAY).isoformat()})


def _requests(filters: dict[str, str]) -> PageLink:
    query = f"?{urlencode(filters)}" if filters else ""
    return PageLink("View requests", f"{reverse('queue_requests')}{query}")


def _scope_filter(budget: Budget) -> dict[str, str]:
    """The filter of the list of requests that shows what a budget counts."""
    match budget.scope:
        case BudgetScope.API_KEY:
            key_id = ApiKey.objects.filter(id=int(budget.scope_value)).values_list("key_id", flat=True).first()
            return {"key": key_id} if key_id else {}
        case BudgetScope.MODEL:
            provider, _, model = budget.scope_value.partition("/")
            return {"provider": provider, "model": model}
        case BudgetScope.USER | BudgetScope.TAG:
            return {str(budget.scope): budget.scope_value}
        case _:
            return {}
