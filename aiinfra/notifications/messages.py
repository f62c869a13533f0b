"""What is told, before it is known to whom and how."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any
from urllib.parse import urljoin

from django.conf import settings

from aiinfra.notifications.models import Severity

ALERT_OPENED, ALERT_RESOLVED = "alert.opened", "alert.resolved"
TITLE_MAX = 200
TEXT_MAX = 2_000


@dataclass(frozen=True)
class Notification:
    """One message.

    `type` is a name for programs (`alert.opened`), `facts` are (label, value) for people, `data` is for programs and
    JSON. `path` is a page of ours; it becomes a link where `AIINFRA_PUBLIC_URL` says how people reach us. A channel
    gets the messages of one `topic` in the order they were written.
    """

    type: str
    severity: str
    title: str
    text: str
    facts: tuple[tuple[str, str], ...] = ()
    path: str = ""
    data: Mapping[str, Any] = field(default_factory=dict)
    topic: str = ""

    @property
    def link(self) -> str:
        """The page's whole address, or nothing."""
        return urljoin(settings.AIINFRA_PUBLIC_URL, self.path) if settings.AIINFRA_PUBLIC_URL and self.path else ""

    @property
    def subject(self) -> str:
        """Severity and title in one line; what is over has no severity any more."""
        title = " ".join(self.title.split())
        return title if self.is_resolution else f"[{self.severity}] {title}"

    @property
    def is_resolution(self) -> bool:
        """Whether it says that something has ended."""
        return self.type == ALERT_RESOLVED

    def as_payload(self) -> dict[str, Any]:
        """As a delivery keeps it."""
        payload = asdict(self)
        return {**payload, "title": self.title[:TITLE_MAX], "text": self.text[:TEXT_MAX], "data": dict(self.data)}

    @classmethod
    def of_payload(cls, payload: dict[str, Any]) -> "Notification":
        """Back again."""
        return cls(**{**payload, "facts": tuple((label, value) for label, value in payload["facts"])})


def severities_up_to(severity: str) -> list[str]:
    """The minimum severities of the channels that a message of this severity goes to."""
    values: list[str] = Severity.values
    return values[: values.index(severity) + 1]
