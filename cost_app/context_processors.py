"""Data of the cost engine that every page shows: how many alerts are open."""

from typing import Any

from django.http import HttpRequest
from django.utils.functional import SimpleLazyObject

from aiinfra.tenants.scope import organization_scope
from cost_app.alerts.lifecycle import open_alerts


def alert_count(request: HttpRequest) -> dict[str, Any]:
    """Context processor; counts only for a page that shows the number: one indexed query."""
    principal = getattr(request, "principal", None)
    if principal is None or not principal.can("cost:read"):
        return {}

    def count() -> int:
        with organization_scope(principal.organization_id):
            return open_alerts()

    return {"open_alerts": SimpleLazyObject(count)}
