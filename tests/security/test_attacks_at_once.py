"""Concurrent attacks: a limit also holds for simultaneous requests."""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import TypeVar

import pytest
from allauth.mfa.totp.internal import auth as totp
from django.db import connection
from django.test import Client
from django.urls import reverse

from aiinfra.tenants import invitations
from aiinfra.tenants.authorization import Role
from aiinfra.tenants.models import Invitation, Membership, Organization, User
from aiinfra.tenants.scope import organization_scope, system_scope
from tests.conftest import make_member

Browser = Callable[[User], Client]
Item = TypeVar("Item")

pytestmark = pytest.mark.usefixtures("redis_url")


def concurrently(act: Callable[[Item], int], items: Iterable[Item]) -> list[int]:
    """The statuses of concurrent requests, each in its own thread."""
    every = list(items)
    barrier = Barrier(len(every))

    def run(item: Item) -> int:
        barrier.wait()
        try:
            return act(item)
        finally:
            connection.close()

    with ThreadPoolExecutor(len(every)) as threads:
        return list(threads.map(run, every))


@pytest.mark.django_db(transaction=True)
def test_concurrent_demotions_leave_at_least_one_owner(organization: Organization, client_of: Browser) -> None:
    owners = [make_member(organization, Role.OWNER, f"owner-{number}") for number in range(4)]
    browsers = [client_of(owner) for owner in owners]
    victims = [owner.memberships.get().pk for owner in [*owners[1:], owners[0]]]

    def demote(number: int) -> int:
        page = reverse("member_role", args=[victims[number]])
        return int(browsers[number].post(page, {"role": "viewer", "seen": "owner"}).status_code)

    statuses = concurrently(demote, range(len(owners)))
    assert max(statuses) < 500
    assert Membership.objects.filter(organization=organization, role=Role.OWNER).count() in {1, 2}


@pytest.mark.django_db(transaction=True)
def test_concurrent_acceptances_of_an_invitation_create_one_account(organization: Organization, owner: User) -> None:
    with organization_scope(organization.pk):
        _, token = invitations.invite(
            organization=organization, email="new@example.com", role=Role.VIEWER, by=owner, actor="user:owner"
        )

    browsers = [Client() for _ in range(4)]
    (page,) = {browser.get(reverse("invitation", args=[token])).headers["Location"] for browser in browsers}

    def accept(browser: Client) -> int:
        return int(browser.post(page, {"password": "another long password"}).status_code)

    statuses = concurrently(accept, browsers)
    assert max(statuses) < 500, statuses
    assert User.objects.filter(username="new@example.com").count() == 1
    assert Membership.objects.filter(organization=organization).count() == 2
    with system_scope():
        assert Invitation.objects.exclude(accepted_at=None).count() == 1


@pytest.mark.django_db(transaction=True)
def test_five_of_many_concurrent_codes_are_checked(owner: User) -> None:
    totp.TOTP.activate(owner, totp.generate_totp_secret())
    browsers = [Client() for _ in range(12)]
    for browser in browsers:
        browser.post(reverse("login"), {"username": "owner", "password": "a long password"})
    answers = concurrently(lambda browser: browser.post(reverse("mfa_authenticate"), {"code": "000000"}).text, browsers)
    assert sum("Incorrect" in answer for answer in answers) == 5
    assert sum("Too many" in answer for answer in answers) == 7
