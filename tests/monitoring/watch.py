"""Alert checks, and their results."""

from collections.abc import Callable
from datetime import datetime, timedelta

from aiinfra.monitoring.alert_checks import check_alerts
from aiinfra.notifications.channels import add_channel
from aiinfra.notifications.models import Delivery
from aiinfra.tenants.models import Organization
from aiinfra.tenants.scope import owner_scope, system_scope
from cost_app.models import Alert
from queue_app.models import AIRequest, Priority, QueueMinute

Worker = Callable[..., None]
Waiting = Callable[..., None]


class Watch:
    """Runs alert checks every 30 seconds on its own clock."""

    def __init__(self, now: datetime) -> None:
        self.now = now

    def check(self, times: int = 1, *, interval_s: float = 30) -> None:
        for _ in range(times):
            check_alerts(self.now)
            self.now += timedelta(seconds=interval_s)


def alerts(owner: Organization | None) -> list[tuple[str, str]]:
    with owner_scope(owner and owner.pk):
        return list(Alert.objects.order_by("id").values_list("kind", "state"))


def only_alert(owner: Organization | None, kind: str) -> Alert:
    with owner_scope(owner and owner.pk):
        return Alert.objects.select_related("organization").get(kind=kind)


def channel(owner: Organization | None, target: str = "https://example.com/hook") -> None:
    add_channel(
        organization_id=owner and owner.pk,
        kind="webhook",
        name="ops",
        target=target,
        min_severity="low",
        actor="user:admin",
    )


def sent_messages(owner: Organization | None) -> list[tuple[str, str]]:
    with owner_scope(owner and owner.pk):
        rows = Delivery.objects.order_by("id").values_list("payload", flat=True)
        return [(row["type"], row["data"]["type"]) for row in rows]


def minute(organization: Organization, at: datetime, **counts: int) -> None:
    with owner_scope(organization.pk):
        QueueMinute.objects.create(
            organization=organization, minute=at.replace(second=0, microsecond=0), priority=Priority.NORMAL, **counts
        )


def delete_requests() -> None:
    with system_scope():
        AIRequest.objects.all().delete()
