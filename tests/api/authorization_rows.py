"""The rows that the URLs and bodies of the authorization matrix name, created in an organization."""

import json
import time
import uuid
from collections.abc import Callable
from datetime import timedelta
from importlib.metadata import version
from uuid import uuid4

import pytest
from django.utils import timezone

from aiinfra.batches.files import Owner, store_upload
from aiinfra.batches.models import Batch
from aiinfra.gateway.batches.creating import BatchTerms, create_batch
from aiinfra.notifications.models import Channel, Delivery
from aiinfra.providers.aliases import set_alias
from aiinfra.providers.base import TokenUsage
from aiinfra.tenants import invitations
from aiinfra.tenants.authorization import Role
from aiinfra.tenants.keys import create_key
from aiinfra.tenants.models import Organization
from aiinfra.tenants.privacy import erasures
from aiinfra.tenants.scope import organization_scope
from cache_app.metrics.figures import CHARTS as CACHE_CHARTS
from cache_app.models import CacheHit, Layer, ThresholdProposal
from cache_app.store import entries
from cache_app.store.entry import Entry
from cost_app.budgets.manage import grant_increase, set_budget
from cost_app.budgets.terms import BudgetTerms
from cost_app.models import Alert, InvoiceImport, MonthClose, PriceProposal
from queue_app.models import AIRequest, Status
from queue_app.stats.figures import CHARTS
from queue_app.submission.intake import accept
from queue_app.submission.submission import Submission
from tests.api.support import MESSAGES
from tests.conftest import make_member
from tests.cost_app.recommendations.support import make_applied, make_recommendation

CLOSED_MONTH = "2025-02-01"

Ids = dict[str, str]


def ids_of_budgets(organization: Organization) -> dict[str, int]:
    """A budget and a temporary increase of it."""
    with organization_scope(organization.pk):
        terms = BudgetTerms(period="monthly", limit_nano=1_000_000_000)
        budget = set_budget(organization_id=organization.pk, terms=terms, actor="command:test")
        ends_at = timezone.now() + timedelta(days=1)
        increase = grant_increase(budget=budget, nano=1, reason="x", expires_at=ends_at, actor="command:test")
    return {"budget": budget.pk, "increase": increase.pk}


def make_threshold(organization: Organization) -> ThresholdProposal:
    """A threshold proposal that is still pending."""
    figures = dict.fromkeys(("threshold", "before", "error_target", "error_upper", "hits_kept"), 0.9)
    proposal = ThresholdProposal(organization=organization, embedder="minilm", pairs=1, wrong=0, **figures)
    with organization_scope(organization.pk):
        proposal.save()
    return proposal


MESSAGE = {"type": "test", "severity": "low", "title": "Test", "text": "A test.", "facts": [], "path": "", "data": {}}


def make_proposal() -> PriceProposal:
    """A price proposal of the installation."""
    amounts = dict.fromkeys(("input", "cache_read", "cache_write", "output"), 1)
    names = {"provider": "openai", "model": "gpt-4", "state": "waiting"}
    return PriceProposal.objects.get_or_create(**names, defaults={**amounts, "effective_from": timezone.now()})[0]


@pytest.fixture
def ids_of() -> Callable[[Organization], Ids]:
    """Creates the named rows in an organization; returns their IDs by kind."""

    def make(organization: Organization) -> Ids:
        owner = make_member(organization, Role.OWNER, f"owner-of-{organization.slug}")
        viewer = make_member(organization, Role.VIEWER, f"viewer-of-{organization.slug}")
        with organization_scope(organization.pk):
            key, _ = create_key(organization=organization, name="bot", role=Role.VIEWER, actor="command:test")
            invitation, token = invitations.invite(
                organization=organization, email="new@example.com", role=Role.VIEWER, by=owner, actor="user:owner"
            )
            pending, failed = (accept(Submission(organization.pk, "openai", "gpt-4", MESSAGES)) for _ in range(2))
            AIRequest.objects.filter(pk=failed.pk).update(status=Status.FAILED, completed_at=timezone.now())
            invoice = InvoiceImport.objects.create(
                organization=organization, provider="openai", first_day=CLOSED_MONTH, last_day=CLOSED_MONTH
            )
            MonthClose.objects.create(
                organization=organization, first_day=CLOSED_MONTH, last_day=CLOSED_MONTH, snapshot={}
            )
            alert = Alert.objects.create(organization=organization, kind="overrun", severity="low", cause="a")
            channel = Channel.objects.create(organization=organization, kind="email", target="ops@example.com")
            delivery = Delivery.objects.create(
                organization=organization, channel=channel, message_id=f"msg-{organization.pk}", payload=MESSAGE
            )
            alias = set_alias(organization_id=organization.pk, name="best", target="gpt-4", actor="command:test")
            erasure = erasures.order(organization=organization, user_ref="ben", actor="command:test")
        rows = {
            "alias": alias.pk,
            "erasure": erasure.pk,
            "key": key.key_id,
            "invitation": invitation.pk,
            "membership": viewer.memberships.get().pk,
        }
        words = {"token": token, "release": version("plotly"), "figure": next(iter(CHARTS)), "cost_chart": "spend"}
        words |= {"reset": "1 abc-def", "passkey": "1", "session": str(uuid.uuid4()), "slug": "north"}
        words |= {"price": "openai/gpt-4", "cache_chart": next(iter(CACHE_CHARTS))}
        money = {**ids_of_budgets(organization), "proposal": make_proposal().pk}
        advice = {"open_advice": make_recommendation(organization).pk, "applied_advice": make_applied(organization).pk}
        months = {"month": "2025-01-01", "closed_month": CLOSED_MONTH, "invoice": invoice.pk}
        batch = make_batch(organization)
        return {
            name: str(value)
            for name, value in {
                "batch": batch.pk,
                "batch_file": f"{batch.pk} input",
                **rows,
                **words,
                **months,
                **advice,
                **money,
                "alert": alert.pk,
                "channel": channel.pk,
                "delivery": delivery.pk,
                "pending": pending.pk,
                "failed": failed.pk,
                "entry": make_entry(organization),
                "hit": make_hit(organization).pk,
                "threshold": make_threshold(organization).pk,
            }.items()
        }

    return make


def make_batch(organization: Organization) -> Batch:
    """A batch that has not started, with its input file."""
    owner = Owner(organization.pk)
    call = {"custom_id": "a", "method": "POST", "url": "/v1/chat/completions", "body": {}}
    with organization_scope(organization.pk):
        file = store_upload(owner, "calls.jsonl", json.dumps(call).encode())
        return create_batch(owner, file, BatchTerms("/v1/chat/completions", 24, {}, {}), None)


def make_entry(organization: Organization) -> str:
    """Stores a cached response; returns its ID."""
    entry = Entry(
        id=f"{organization.pk:032x}",
        organization_id=organization.pk,
        partition="0" * 32,
        question="What is a queue?",
        response={"role": "assistant", "content": "A line.", "finishReason": "stop"},
        usage=TokenUsage(),
        provider="deepseek",
        model="deepseek-chat",
        created_ms=round(time.time() * 1000),
        expires_ms=round(time.time() * 1000) + 3_600_000,
    )
    entries.put(entry, vector=None)
    return entry.id


def make_hit(organization: Organization) -> CacheHit:
    """A semantic cache hit."""
    with organization_scope(organization.pk):
        return CacheHit.objects.create(
            id=uuid4(),
            organization=organization,
            layer=Layer.SEMANTIC,
            entry_id="1" * 32,
            partition="0" * 32,
            embedder="minilm",
            provider="deepseek",
            model="deepseek-chat",
            similarity=0.93,
            rule="clear",
        )
