"""Sends a single message over one transport. Nothing here touches the database, and nothing raises.

Error texts are our own: a URL, a header or the receiver's response may contain a secret.
"""

import ipaddress
import json
import logging
import smtplib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit

import httpx2
from django.conf import settings
from django.core.mail import EmailMessage
from standardwebhooks import Webhook

from aiinfra import egress
from aiinfra.notifications.messages import Notification
from aiinfra.notifications.models import ChannelKind, Delivery, Severity
from aiinfra.retry_after import retry_after_s
from aiinfra.webhook_urls import is_trusted

logger = logging.getLogger(__name__)

TIMEOUT_S = 15.0
RETRY_AFTER_MAX_S = 7200
RETRIED_STATUSES = {408, 429}
NOT_PUBLIC = "the address is not public or does not exist; nothing was sent"
"""The same text for both cases, and both are retried. Otherwise, the log would reveal which internal names exist."""
UNDECRYPTABLE = "the address or the signing secret can't be decrypted"
UNSIGNED = "the signing secret of the API key was removed"
SLACK_HEADER_MAX, SLACK_TEXT_MAX, SLACK_FIELDS_MAX, SLACK_FIELD_MAX = 150, 3_000, 10, 2_000
SLACK_ICONS = {Severity.CRITICAL: "🔴", Severity.HIGH: "🟠", Severity.MEDIUM: "🟡", Severity.LOW: "🔵"}
SLACK_RESOLVED = "🟢"


@dataclass(frozen=True)
class Outcome:
    """The result of one attempt. `again`: a retry may help; `after_s`: not before that, as the receiver asked."""

    is_sent: bool
    error: str = ""
    status: int | None = None
    again: bool = False
    after_s: float = 0.0


SENT = Outcome(is_sent=True)


def attempt(delivery: Delivery) -> Outcome:
    """Try once; `delivery.channel` and `delivery.api_key` must be loaded."""
    if delivery.channel and (not delivery.channel.enabled or delivery.channel.removed_at):
        return Outcome(False, "the channel is disabled")
    if delivery.is_undecryptable:
        return Outcome(False, UNDECRYPTABLE, again=True)
    try:
        return TRANSPORTS[delivery.kind](delivery)
    except Exception as error:  # its text may contain the address, so only its type is logged
        logger.error(
            "a delivery failed unexpectedly", extra={"fields": {"delivery": delivery.pk, "error": type(error).__name__}}
        )
        return Outcome(False, "internal error; see the log for its type", again=True)


def by_email(delivery: Delivery) -> Outcome:
    """Plain text through the configured mail server."""
    if not settings.EMAIL_HOST:
        return Outcome(False, "no mail server is configured: set EMAIL_HOST", again=True)
    message = Notification.of_payload(delivery.payload)
    headers = {"Message-ID": f"<{delivery.message_id}@{settings.DEFAULT_FROM_EMAIL.rpartition('@')[2].strip('>')}>"}
    mail = EmailMessage(message.subject, email_text(message), to=[delivery.url], headers=headers)
    try:
        mail.send()
    except smtplib.SMTPRecipientsRefused as refused:
        status = max((code for code, _ in refused.recipients.values()), default=0)
        return Outcome(False, "the mail server rejected the recipient", status, again=status < 500)
    except smtplib.SMTPResponseException as answer:
        return Outcome(False, "the mail server rejected the message", int(answer.smtp_code), again=True)
    except OSError:
        return Outcome(False, "could not reach the mail server", again=True)
    return SENT


def by_webhook(delivery: Delivery) -> Outcome:
    """JSON, signed according to Standard Webhooks; the id stays the same across attempts."""
    if not delivery.signing_secret:
        return Outcome(False, UNSIGNED)
    body = json.dumps(webhook_body(delivery), separators=(",", ":"))
    at = datetime.now(UTC)
    headers = {
        "webhook-id": delivery.message_id,
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": Webhook(delivery.signing_secret).sign(delivery.message_id, at, body),
    }
    return _post(delivery.url, body, headers)


def by_slack(delivery: Delivery) -> Outcome:
    """To an incoming webhook of Slack or a compatible service."""
    return _post(delivery.url, json.dumps(slack_body(Notification.of_payload(delivery.payload))), {})


TRANSPORTS: dict[ChannelKind, Callable[[Delivery], Outcome]] = {
    ChannelKind.EMAIL: by_email,
    ChannelKind.WEBHOOK: by_webhook,
    ChannelKind.SLACK: by_slack,
    ChannelKind.REQUESTS: by_webhook,
}


def _post(url: str, body: str, headers: dict[str, str]) -> Outcome:
    parts = urlsplit(url)
    if parts.scheme != "https" and not is_trusted(parts.hostname):
        return Outcome(False, "only https URLs are allowed")
    headers = {"content-type": "application/json", "user-agent": "aiinfra", **headers}
    sending = _client(settings.NOTIFICATION_TRUSTED_HOSTS).stream(
        "POST", url, content=body.encode(), headers=headers, timeout=egress.timeouts(TIMEOUT_S)
    )
    try:
        with egress.deadline(TIMEOUT_S), sending as response:
            return _outcome_of(response)  # the body is not read: nothing in it is useful, and it may be endless
    except egress.EgressRefusedError:
        return Outcome(False, NOT_PUBLIC, again=not _is_address(parts.hostname))
    except httpx2.TimeoutException:
        return Outcome(False, f"no answer within {TIMEOUT_S:.0f} s", again=True)
    except httpx2.HTTPError:
        return Outcome(False, "could not reach the receiver", again=True)


def _is_address(host: str | None) -> bool:
    """Whether the URL has an IP address, which is the same at the next attempt."""
    try:
        ipaddress.ip_address(host or "")
    except ValueError:
        return False
    return True


@lru_cache(maxsize=4)
def _client(trusted_hosts: frozenset[str]) -> httpx2.Client:
    return egress.http_client(trusted_hosts=trusted_hosts, connections=32)


def _outcome_of(response: httpx2.Response) -> Outcome:
    status = response.status_code
    if response.is_success:
        return Outcome(is_sent=True, status=status)
    if response.is_redirect:
        return Outcome(False, f"the receiver responded with {status}; redirects are not followed", status)
    again = status in RETRIED_STATUSES or status >= 500
    after_s = retry_after_s(response.headers, RETRY_AFTER_MAX_S) or 0.0
    return Outcome(False, f"the receiver responded with {status}", status, again, after_s)


def email_text(message: Notification) -> str:
    """The body of an email."""
    facts = [f"{label}: {value}" for label, value in message.facts]
    return "\n\n".join(part for part in (message.text, "\n".join(facts), message.link) if part) + "\n"


def webhook_body(delivery: Delivery) -> dict[str, Any]:
    """`type`, `timestamp` and `data`, as Standard Webhooks recommends. Request webhooks have no words for people."""
    message = Notification.of_payload(delivery.payload)
    said = {"severity": message.severity, "title": message.title, "text": message.text, "url": message.link or None}
    said = said if delivery.about is None else {}
    at = delivery.created_at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    return {"type": message.type, "timestamp": at, "data": {**said, **message.data}}


def slack_body(message: Notification) -> dict[str, Any]:
    """Blocks, and a plain text for notifications without blocks."""
    icon = SLACK_RESOLVED if message.is_resolution else SLACK_ICONS[Severity(message.severity)]
    header = f"{icon} {' '.join(message.title.split())}"[:SLACK_HEADER_MAX]
    blocks: list[dict[str, Any]] = [
        {"type": "header", "text": {"type": "plain_text", "text": header}},
        {"type": "section", "text": {"type": "mrkdwn", "text": _escaped(message.text)[:SLACK_TEXT_MAX]}},
    ]
    if message.facts:
        facts = [f"*{_escaped(label)}*\n{_escaped(value)}"[:SLACK_FIELD_MAX] for label, value in message.facts]
        fields = [{"type": "mrkdwn", "text": fact} for fact in facts[:SLACK_FIELDS_MAX]]
        blocks.append({"type": "section", "fields": fields})
    if message.link:
        blocks.append({"type": "context", "elements": [{"type": "mrkdwn", "text": f"<{message.link}|Open>"}]})
    return {"text": _escaped(f"{message.subject}: {message.text}"), "blocks": blocks}


def _escaped(text: str) -> str:
    """Escape what Slack interprets: `<!channel>` and links in angle brackets, also in user-chosen names."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
