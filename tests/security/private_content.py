"""A user's content in every store."""

import json
from datetime import timedelta
from typing import Any

from django.utils import timezone

from aiinfra.idempotency import digest_of
from aiinfra.notifications.models import Channel, Delivery
from aiinfra.providers.base import TokenUsage
from aiinfra.redis import redis_client
from aiinfra.tenants.models import OnceAnswer, Organization
from aiinfra.tenants.privacy.models import Erasure
from aiinfra.tenants.scope import organization_scope
from cache_app.models import CacheHit
from cache_app.store import browse, entries
from cache_app.store.entry import Entry
from cost_app.models import Attempt
from queue_app.models import AIRequest, RequestContent, Status
from queue_app.packing import pack
from queue_app.submission.intake import accept
from queue_app.submission.submission import Submission
from tests.support.rows import make_row

SECRET = "the secret of anna"
MESSAGES = [{"role": "user", "content": SECRET}]


def create_completed_request(organization: Organization, user: str, days_ago: float = 1, **more: Any) -> AIRequest:
    """A completed request with the secret in its content."""
    with organization_scope(organization.pk):
        submission = Submission(
            organization.pk, "deepseek", "deepseek-chat", MESSAGES, user_ref=user, metadata={"note": SECRET}, **more
        )
        request = accept(submission)
        then = timezone.now() - timedelta(days=days_ago)
        AIRequest.objects.filter(id=request.id).update(
            status=Status.COMPLETED, completed_at=then, counted=True, error_message=SECRET
        )
        RequestContent.objects.filter(request=request).update(response=pack({"content": SECRET}))
        Attempt.objects.filter(request_id=request.id).update(error_message=SECRET)
    return request


def create_cache_entry(organization: Organization, name: str, request_id: str = "", user: str = "") -> None:
    """A cache entry with the secret, and a hit on it."""
    now = int(timezone.now().timestamp() * 1000)
    entry = Entry(
        id=name,
        organization_id=organization.pk,
        partition="p",
        question=SECRET,
        response={"role": "assistant", "content": SECRET, "finishReason": "stop"},
        usage=TokenUsage(),
        provider="deepseek",
        model="deepseek-chat",
        created_ms=now,
        expires_ms=now + 3_600_000,
        request_id=request_id,
        user_ref=user,
    )
    entries.put(entry, vector=None)
    with organization_scope(organization.pk):
        hit = make_row(CacheHit, organization)
        CacheHit.objects.filter(pk=hit.pk).update(
            entry_id=name, user_ref="ben", cached_question=SECRET, answer=SECRET, question="how?", counted=True
        )


def all_stored_content(organization: Organization) -> str:
    """Everything that the database and Redis store for the organization, as text."""
    with organization_scope(organization.pk):
        rows = [
            list(table.objects.values_list())
            for table in (AIRequest, RequestContent, Attempt, CacheHit, Delivery, OnceAnswer, Erasure)
        ]
        contents = [bytes(row.call) + bytes(row.response or b"") for row in RequestContent.objects.all()]
    page = browse.page_of(organization.pk)
    return f"{rows} {contents} {page.entries} {redis_client().keys('live:*history')}"


def fill(organization: Organization) -> AIRequest:
    """Store Anna's secret in every store."""
    request = create_completed_request(organization, "anna")
    create_cache_entry(organization, "a" * 32, request_id=str(request.id))
    create_cache_entry(organization, "b" * 32, user="anna")
    body = json.dumps({"requestId": str(request.id), "response": {"content": SECRET}}, separators=(",", ":"))
    payload = {"type": "t", "severity": "low", "title": f"anna: {SECRET}", "text": SECRET, "facts": [], "path": ""}
    with organization_scope(organization.pk):
        OnceAnswer.objects.create(
            organization=organization, digest=digest_of("x"), fingerprint="x", status=200, body=body
        )
        channel = Channel.objects.create(organization=organization, kind="email", target="ops@example.com")
        Delivery.objects.create(organization=organization, channel=channel, message_id="m", payload=payload)
    return request
