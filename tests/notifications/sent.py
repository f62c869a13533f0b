"""A message, and a helper that makes its next attempt due."""

from collections.abc import Callable
from datetime import timedelta

from django.utils import timezone

from aiinfra.notifications.messages import Notification
from aiinfra.notifications.models import Channel, Delivery

MESSAGE = Notification(
    type="alert.opened",
    severity="medium",
    title="Budget warning",
    text="80% are used.",
    path="/alerts/7/",
    data={"alertId": 7},
)
MakeChannel = Callable[..., Channel]


def make_due() -> None:
    Delivery.objects.update(next_try_at=timezone.now() - timedelta(seconds=1))
