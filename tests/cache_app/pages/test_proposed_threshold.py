"""The proposed threshold on the cache page."""

import pytest
from django.test import Client
from django.urls import reverse

from aiinfra.tenants.models import Organization
from aiinfra.tenants.scope import organization_scope
from cache_app.models import ProposalState, ThresholdProposal
from tests.cache_app.pages.support import (
    audited,
    make_proposal,
    policy_in,
    spaced,
)

URL = "/cache/"


def decide(client: Client, what: str, proposal: ThresholdProposal) -> int:
    return client.post(reverse(f"cache_proposal_{what}", args=[proposal.pk])).status_code


def state_of(proposal: ThresholdProposal) -> str:
    with organization_scope(proposal.organization_id):
        return ThresholdProposal.objects.get(pk=proposal.pk).state


def test_an_admin_applies_a_proposed_threshold_and_it_is_audited(organization: Organization, manager: Client) -> None:
    proposal = make_proposal(organization)
    page = spaced(manager.get(URL).text)
    assert "Proposed threshold: 0.91 instead of 0.85" in page
    assert "at most 1.8% of semantic answers would be wrong" in page
    response = manager.post(reverse("cache_proposal_apply", args=[proposal.pk]), follow=True)
    assert "Threshold set to 0.91." in response.text
    assert "Proposed threshold" not in response.text
    policy = policy_in(organization)
    assert policy is not None
    assert (policy.threshold, state_of(proposal)) == (0.91, ProposalState.APPLIED)
    assert ("user:admin", "cache_policy.changed", "cache settings") in audited(organization)


def test_a_dismissed_threshold_changes_nothing_and_is_audited(organization: Organization, manager: Client) -> None:
    proposal = make_proposal(organization)
    assert decide(manager, "dismiss", proposal) == 302
    assert (policy_in(organization), state_of(proposal)) == (None, ProposalState.DISMISSED)
    assert [actor for actor, _, _ in audited(organization)] == ["user:admin"]


def test_a_decided_proposal_cannot_be_decided_again(organization: Organization, manager: Client) -> None:
    proposal = make_proposal(organization)
    decide(manager, "dismiss", proposal)
    assert decide(manager, "apply", proposal) == 302
    assert (policy_in(organization), state_of(proposal)) == (None, ProposalState.DISMISSED)


@pytest.mark.parametrize("what", ["apply", "dismiss"])
def test_only_admins_decide_on_a_proposal(
    what: str, organization: Organization, browser: Client, outsider: Client, manager: Client, client: Client
) -> None:
    proposal = make_proposal(organization)
    page = browser.get(URL).text
    assert "Proposed threshold" in page
    assert f"/{what}/" not in page
    assert decide(browser, what, proposal) == 403
    assert decide(outsider, what, proposal) == 404
    assert decide(client, what, proposal) == 302
    assert manager.get(reverse(f"cache_proposal_{what}", args=[proposal.pk])).status_code == 405
    assert (policy_in(organization), state_of(proposal)) == (None, ProposalState.OPEN)
