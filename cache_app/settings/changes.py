"""Changes of the settings, in the words and units of the form."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from aiinfra.templatetags.formats import money
from aiinfra.tenants.models import AuditEvent

LABELS = {
    "mode": "Mode",
    "threshold": "Minimum similarity",
    "shared_with": "Shared with",
    "ttl_hours": "Time to live (hours)",
    "max_entries": "Maximum entries",
    "max_temperature": "Maximum temperature",
    "other_languages": "Other languages",
    "error_target": "Maximum wrong answers (%)",
    "reask_share": "Sampled re-checks (%)",
    "reask_day_nano": "Daily re-check budget",
}
SHARES = {"error_target", "reask_share"}
OWN_THRESHOLD = "the embedder's default"


@dataclass(frozen=True)
class Change:
    """One setting before and after."""

    label: str
    before: str
    after: str


@dataclass(frozen=True)
class Changed:
    """What one person changed at once."""

    at: datetime
    actor: str
    changes: Sequence[Change]


def changed(events: Iterable[AuditEvent]) -> list[Changed]:
    """The audit log's rows about cache settings, as text."""
    return [Changed(event.at, event.actor, _changes(event.changes)) for event in events]


def _changes(found: Mapping[str, Sequence[Any]]) -> list[Change]:
    return [
        Change(LABELS.get(name, name), _shown(name, before), _shown(name, after))
        for name, (before, after) in found.items()
    ]


def _shown(name: str, value: Any) -> str:
    if name == "threshold":
        return OWN_THRESHOLD if value is None else f"{value:.2f}"
    if name in SHARES:
        return f"{100 * value:.1f}%"
    if name == "reask_day_nano":
        return money(value)
    return f"{value:,}" if isinstance(value, int) else str(value).replace("_", " ")
