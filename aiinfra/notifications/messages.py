"""The content of a notification, independent of receivers and channels."""

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
    """A message.

    `type` is a name for programs (`alert.opened`), `facts` are (label, value) pairs for people, `data` is JSON for
    programs. `path` is a page of the product; it becomes a link if `AIINFRA_PUBLIC_URL` is set. A channel gets the
    messages of one `topic` in the order in which they were written.
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
        """The absolute URL of the page, or ""."""
        return urljoin(settings.AIINFRA_PUBLIC_URL, self.path) if settings.AIINFRA_PUBLIC_URL and self.path else ""

    @property
    def subject(self) -> str:
        """Severity and title in one line; resolutions and request webhooks have no severity."""
        title = " ".join(self.title.split())
        return title if self.is_resolution or not self.severity else f"[{self.severity}] {title}"

    @property
    def is_resolution(self) -> bool:
        """Whether it reports that a problem was resolved."""
        return self.type == ALERT_RESOLVED

    def as_payload(self) -> dict[str, Any]:
        """The message as a delivery stores it."""
        payload = asdict(self)
        return {**payload, "title": self.title[:TITLE_MAX], "text": self.text[:TEXT_MAX], "data": dict(self.data)}

    @classmethod
    def of_payload(cls, payload: dict[str, Any]) -> "Notification":
        """The inverse of `as_payload`."""
        return cls(**{**payload, "facts": tuple((label, value) for label, value in payload["facts"])})


def severities_up_to(severity: str) -> list[str]:
    """The minimum severities of channels that receive a message of this severity."""
    values: list[str] = Severity.values
    return values[: values.index(severity) + 1]
