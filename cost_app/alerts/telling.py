"""An alert in words, for the people who are to hear of it."""

from aiinfra.money import dollars
from aiinfra.notifications.messages import Notification
from aiinfra.notifications.outbox import send
from cost_app.models import Alert


def tell(alert: Alert) -> None:
    """Hand the alert to the organization's channels, in the transaction that raised it; what follows blocks nobody."""
    title = alert.get_kind_display().capitalize()
    send(
        alert.organization_id,
        Notification(
            type="alert.opened",
            severity=alert.severity,
            title=f"{title} at {alert.organization}",
            text=alert.message,
            facts=_facts(alert),
            path=f"/alerts/{alert.id}/",
            data={
                "alertId": alert.id,
                "type": alert.kind,
                "cause": alert.cause,
                "openedAt": alert.opened_at.isoformat(),
                "currentCost": dollars(alert.current_nano),
                "explanation": alert.explanation,
            },
        ),
    )


def _facts(alert: Alert) -> tuple[tuple[str, str], ...]:
    """What rose most, in dollars."""
    contributors = alert.explanation.get("contributors", [])
    return tuple(
        (f"{each['dimension']} {each['name']}", f"{dollars(each['change'])} more") for each in contributors[:5]
    )
