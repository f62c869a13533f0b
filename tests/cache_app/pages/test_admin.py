"""The cache's raw records for staff."""

from collections.abc import Callable

import pytest
from django.test import Client
from django.urls import reverse

from aiinfra.tenants.models import Organization, User
from aiinfra.tenants.scope import organization_scope
from cache_app.policy import change_policy
from tests.cache_app.learning.made import ASKED, CACHED, make_hit
from tests.cache_app.pages.support import counted, make_proposal

PAGES = ["cachehit", "judgedpair", "thresholdproposal", "cachecount", "cachepolicy"]


@pytest.fixture
def staff(stranger: User, client_of: Callable[[User], Client]) -> Client:
    """A superuser."""
    stranger.is_staff = stranger.is_superuser = True
    stranger.save()
    return client_of(stranger)


@pytest.mark.parametrize("page", PAGES)
def test_staff_see_the_rows_of_all_organizations(page: str, organization: Organization, staff: Client) -> None:
    make_hit(organization)
    counted(organization)
    make_proposal(organization)
    response = staff.get(reverse(f"admin:cache_app_{page}_changelist"))
    assert response.status_code == 200


def test_hits_are_read_only_and_without_texts(organization: Organization, staff: Client) -> None:
    hit = make_hit(organization)
    url = reverse("admin:cache_app_cachehit_change", args=[hit.id])
    page = staff.get(url).text
    assert hit.entry_id in page
    for text in (ASKED, CACHED, "In the first table."):
        assert text not in page
    assert staff.post(url, {"judgement": "right"}).status_code == 403
    assert staff.post(reverse("admin:cache_app_cachehit_delete", args=[hit.id])).status_code == 403


def test_cache_settings_are_read_only_in_the_admin(organization: Organization, staff: Client) -> None:
    with organization_scope(organization.pk):
        policy = change_policy(organization_id=organization.pk, changes={"ttl_hours": 7}, actor="command:test")
    url = reverse("admin:cache_app_cachepolicy_change", args=[policy.pk])
    assert staff.get(url).status_code == 200
    assert staff.post(url, {"ttl_hours": "9"}).status_code == 403


def test_members_are_not_staff(browser: Client) -> None:
    assert browser.get(reverse("admin:cache_app_cachehit_changelist")).status_code == 302
