"""Audit events as sentences: who did what, with names instead of ids and values as people write them."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.urls import NoReverseMatch, reverse
from django.utils.dateparse import parse_datetime

from aiinfra.templatetags.formats import money, time_text
from aiinfra.tenants.actors import actor_name
from aiinfra.tenants.models import AuditEvent

Change = tuple[str, str, str]
"""A field in words, its value before, and its value after; an empty text where there was or is none."""

ACTIONS = {
    "organization.created": "created the organization {}",
    "member.added": "added {} to the organization",
    "member.removed": "removed {} from the organization",
    "member.invited": "invited {}",
    "member.invitation_withdrawn": "withdrew the invitation of {}",
    "member.password_changed": "changed the password of {}",
    "api_key.created": "created the API key {}",
    "api_key.rotated": "rotated the API key {}",
    "api_key.revoked": "revoked the API key {}",
    "api_key.webhook_secret_rotated": "created a new webhook signing secret for the API key {}",
    "api_key.webhook_secret_removed": "removed the webhook signing secret of the API key {}",
    "model_alias.removed": "removed the model alias {}",
    "budget.created": "created the {}",
    "budget.removed": "removed the {}",
    "budget.increased": "raised the {} temporarily",
    "budget.increase_withdrawn": "withdrew an increase of the {}",
    "batch.cancelled": "cancelled {}",
    "request.cancelled": "cancelled request {}",
    "request.retried": "retried request {}",
    "queue.paused": "paused {} requests",
    "queue.resumed": "resumed {} requests",
    "queue.cleaned": "deleted {}",
    "alert.acknowledged": 'acknowledged the alert "{}"',
    "alert.snoozed": 'snoozed the alert "{}"',
    "alert.resolved": 'resolved the alert "{}"',
    "channel.added": "added the channel {}",
    "channel.removed": "removed the channel {}",
    "channel.tested": "sent a test message to the channel {}",
    "delivery.retried": "sent a message to the channel {} again",
    "invoice.imported": "imported the invoice {}",
    "month.closed": "closed the month {}",
    "month.archived": "archived the requests of {}",
    "price.repriced": "repriced {}",
    "recommendation.apply": 'applied the recommendation "{}"',
    "recommendation.undo": 'undid the recommendation "{}"',
    "recommendation.dismiss": 'dismissed the recommendation "{}"',
    "fallback.defaults_changed": "changed the {}",
    "cache.cleared": "removed {} from the cache",
    "cache.entry_removed": "removed cache entry {}",
    "cache.entry_pinned": "pinned cache entry {}",
    "cache.entry_unpinned": "unpinned cache entry {}",
    "cache.entry_given": "added cache entry {}",
    "cache_hit.judged": "judged the {}",
    "cache_threshold.applied": "applied the proposed cache {}",
    "cache_threshold.dismissed": "dismissed the proposed cache {}",
}
CHANGED = {
    "organization.changed": "the organization {}",
    "member.role_changed": "{}",
    "api_key.limits_changed": "the API key {}",
    "model_alias.changed": "the model alias {}",
    "api_key.expiry_changed": "the API key {}",
    "budget.changed": "the {}",
    "channel.changed": "the channel {}",
    "fallback.changed": "the fallback chain of {}",
    "cost_policy.changed": "the rules for spend",
    "cache_policy.changed": "the cache settings",
    "alert_rules.changed": "the alert thresholds",
}
"""What was changed: `changed the limit of the budget X from A to B`."""
SILENT = {"state", "replaced_by", "paused", "repricing"}
"""Fields that are left out: the action already implies them, or they are identifiers."""
LABELS = {
    "rollover_unused": "carrying over unused amounts",
    "warning_percent": "warning threshold",
    "alert_percent": "alert threshold",
    "min_severity": "minimum severity",
    "until": "end",
    "to": "address",
    "threshold": "minimum similarity",
    "cost": "total",
}
DOLLARS = {"limit", "rollover_cap", "increase", "cost", "dollars per use"}
NANO, PERCENT = "_nano", "_percent"
SHOWN_MAX = 120
ID_AND_NAME = re.compile(r"(budget|alert|recommendation) (\d+): (.*)", re.DOTALL)
"""Kind, which is also the name of the URL of its page, row id, and name."""
NAME_AND_ID = re.compile(r"(.*) \([A-Za-z0-9]{8}\)", re.DOTALL)


@dataclass(frozen=True)
class Sentence:
    """One event in words: `who` `before` `target` `after`. The target links to its page where it has one."""

    event: AuditEvent
    who: str
    before: str
    target: str
    url: str
    after: str

    @property
    def raw(self) -> str:
        """The event as it was recorded."""
        kept = {name: getattr(self.event, name) for name in ("verb", "actor", "target", "changes", "request_id")}
        return json.dumps(kept, indent=2, ensure_ascii=False, default=str)


def sentence(event: AuditEvent) -> Sentence:
    """Describe an event, including one with an unknown verb."""
    target, url = _target(event)
    changes = _changes(event.changes)
    before, after = _frame(event.verb, changes)
    return Sentence(event, _capitalized(actor_name(event.actor)), before, target, url, after)


def _capitalized(who: str) -> str:
    """The beginning of a sentence; user names and keys stay as they are written."""
    return f"T{who[1:]}" if who.startswith("the ") else who


def _frame(verb: str, changes: list[Change]) -> tuple[str, str]:
    """What comes before and after the target."""
    if verb in CHANGED:
        return _split(_changed(CHANGED[verb], changes))
    action = ACTIONS.get(verb) or f"{verb.rpartition('.')[2]} {verb.partition('.')[0]} {{}}".replace("_", " ")
    said = "; ".join(_values(change) for change in changes)
    return _split(f"{action} ({said.replace('{', '').replace('}', '')})" if said else action)


def _split(text: str) -> tuple[str, str]:
    before, _, after = text.partition("{}")
    return before, after


def _changed(what: str, changes: list[Change]) -> str:
    if len(changes) == 1:
        ((label, before, after),) = changes
        return f"changed the {label} of {what} from {before or 'none'} to {after or 'none'}"
    listed = "; ".join(f"{label} from {before or 'none'} to {after or 'none'}" for label, before, after in changes)
    return f"changed {what}: {listed}" if listed else f"changed {what}"


def _values(change: Change) -> str:
    label, before, after = change
    return f"{label}: {before} → {after}" if before and after else f"{label}: {after or before}"


def _changes(recorded: Mapping[str, Any]) -> list[Change]:
    pairs = {name: pair for name, pair in recorded.items() if name not in SILENT and isinstance(pair, list | tuple)}
    return [(_label(name), _shown(name, pair[0]), _shown(name, pair[1])) for name, pair in pairs.items()]


def _label(name: str) -> str:
    return LABELS.get(name) or name.removesuffix(NANO).removesuffix(PERCENT).replace("_", " ")


def _shown(name: str, value: Any) -> str:
    """A value as people write it; empty for none."""
    if value is None or value == "":
        return ""
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, list):
        return _cut(", ".join(_shown(name, each) for each in value)) or "nothing"
    if name.endswith(NANO):
        return money(int(value))
    return _cut(_text(name, value))


def _text(name: str, value: Any) -> str:
    if name in DOLLARS:
        whole, point, fraction = str(value).partition(".")
        return f"${int(whole):,}{point}{fraction}" if whole.isdecimal() else f"${value}"
    if name.endswith(PERCENT):
        return f"{value}%"
    if isinstance(value, dict):
        return ", ".join(f"{_label(key)} {_shown(key, each)}" for key, each in value.items())
    at = parse_datetime(value) if isinstance(value, str) and "T" in value else None
    return time_text(at) if isinstance(at, datetime) and at.tzinfo else str(value)


def _cut(text: str) -> str:
    return text if len(text) <= SHOWN_MAX else f"{text[:SHOWN_MAX]}…"


def _target(event: AuditEvent) -> tuple[str, str]:
    """The target's name, and its page if it has one."""
    if named := ID_AND_NAME.fullmatch(event.target):
        kind, row_id, name = named.groups()
        return (name[:1].lower() + name[1:] if kind == "budget" else name), _page(kind, row_id)
    if event.verb.startswith("request."):
        return event.target[:8], _page("queue_request", event.target)
    if event.verb.startswith("cache.entry"):
        return event.target[:8], _page("cache_entry", event.target)
    without_id = NAME_AND_ID.fullmatch(event.target) if event.verb.startswith("api_key.") else None
    return (without_id[1] if without_id else event.target), ""


def _page(url_name: str, row_id: str) -> str:
    try:
        return reverse(url_name, args=[row_id])
    except NoReverseMatch:
        return ""
