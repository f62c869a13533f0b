"""Revoking an API key in one process takes effect in others."""

import pytest
from django.conf import settings

from aiinfra.tenants.authorization import Role
from aiinfra.tenants.keys import create_key
from aiinfra.tenants.models import Organization
from tests.support.race import RunRace


@pytest.mark.django_db(transaction=True)
def test_other_process_rejects_a_revoked_key_within_a_second(organization: Organization, run_race: RunRace) -> None:
    """No call that starts a second after the revocation succeeds; how long the calls take does not matter."""
    _, key = create_key(organization=organization, name="bot", role=Role.VIEWER, actor="command:test")
    racers = [("watch", key), ("revoke", key)]
    [[passed_at], [revoked_at]] = run_race("tests.tenants.racers", racers, API_KEY_PEPPER=settings.API_KEY_PEPPER)
    assert float(passed_at) - float(revoked_at) < 1
