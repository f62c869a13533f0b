import re
from collections.abc import Callable

import pytest
from django.test import Client
from django.urls import reverse

from aiinfra.providers.models import FallbackRoute
from aiinfra.tenants.models import AuditEvent, Organization, User
from aiinfra.tenants.scope import system_scope
from cost_app.models import ModelPrice
from queue_app.models import AIRequest, QueuePolicy
from queue_app.ordering import index
from queue_app.ordering.claims import Claim, claim_next
from queue_app.processing.provider_call import process
from tests.queue_app.conftest import ScriptedProvider

TABLES = [
    "queue_app_airequest",
    "queue_app_queuepolicy",
    "cost_app_attempt",
    "cost_app_ledgerentry",
    "cost_app_modelprice",
    "providers_fallbackroute",
]
READ_ONLY = ["queue_app_airequest", "cost_app_attempt", "cost_app_ledgerentry"]


@pytest.fixture
def staff(client: Client, db: None) -> Client:
    """The browser of a superuser without an organization."""
    client.force_login(User.objects.create_superuser("staff"))
    return client


@pytest.fixture
def charged(claimed: Callable[..., Claim], provider: ScriptedProvider) -> AIRequest:
    """A request that was answered and charged."""
    claim = claimed(messages=[{"role": "user", "content": "a secret question"}])
    process(claim)
    return claim.request


@pytest.mark.parametrize("table", TABLES)
def test_staff_see_the_rows_of_every_organization(table: str, staff: Client, charged: AIRequest) -> None:
    with system_scope():
        QueuePolicy.objects.create(organization=charged.organization)
        FallbackRoute.objects.create(
            organization=charged.organization, provider="openai", model="gpt-4", position=1, to_provider="deepseek"
        )
    page = staff.get(reverse(f"admin:{table}_changelist"))
    assert page.status_code == 200
    link = re.search(r'class="field-\w+[^"]*"><a href="([^"]+)"', page.text)
    assert link
    assert staff.get(link[1]).status_code == 200


def test_raw_records_never_contain_prompts(staff: Client, charged: AIRequest) -> None:
    page = staff.get(reverse("admin:queue_app_airequest_change", args=[charged.id])).text
    assert "deepseek-chat" in page
    assert "a secret question" not in page


@pytest.mark.parametrize("table", READ_ONLY)
def test_program_only_tables_refuse_new_rows(table: str, staff: Client) -> None:
    assert staff.get(reverse(f"admin:{table}_add")).status_code == 403


def test_non_staff_users_have_no_access(owner: User, client_of: Callable[[User], Client]) -> None:
    assert client_of(owner).get(reverse("admin:queue_app_airequest_changelist")).status_code == 302


def test_a_changed_share_applies_immediately_and_is_audited(
    staff: Client,
    submit: Callable[..., AIRequest],
    organization: Organization,
    django_capture_on_commit_callbacks: Callable[..., object],
) -> None:
    with system_scope():
        policy = QueuePolicy.objects.create(organization=organization)
    form = {"organization": organization.pk, "weight": 3, "max_in_flight": 1, "depth_limit": 50}
    with django_capture_on_commit_callbacks(execute=True):  # type: ignore[attr-defined]
        response = staff.post(reverse("admin:queue_app_queuepolicy_change", args=[policy.pk]), form)
    assert response.status_code == 302
    assert index.known_terms()[organization.pk][0] == (3, 1, 50)
    with system_scope():
        event = AuditEvent.objects.get()
        assert (event.verb, event.changes["weight"]) == ("queuepolicy.changed", ["1", "3"])
    submit()
    submit()
    assert claim_next("worker") is not None
    assert claim_next("worker") is None


def test_a_policy_cannot_be_deleted(staff: Client, organization: Organization) -> None:
    with system_scope():
        policy = QueuePolicy.objects.create(organization=organization)
    assert staff.post(reverse("admin:queue_app_queuepolicy_delete", args=[policy.pk])).status_code == 403


def test_prices_are_added_on_their_own_page(staff: Client, queue: None) -> None:
    price = ModelPrice.objects.get(model="gpt-4")
    page = staff.get(reverse("admin:cost_app_modelprice_change", args=[price.pk])).text
    assert "$30.00" in page
    assert staff.get(reverse("admin:cost_app_modelprice_add")).status_code == 403
