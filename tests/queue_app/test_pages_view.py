"""What holds for every operator's page: who may, what a stranger sees, which methods there are."""

from collections.abc import Callable
from dataclasses import dataclass
from uuid import uuid4

import pytest
from django.test import Client
from django.urls import reverse

from aiinfra.tenants.authorization import Role, role_allows
from aiinfra.tenants.models import User
from aiinfra.tenants.scope import system_scope
from queue_app.models import AIRequest

Submit = Callable[..., AIRequest]
Browser = Callable[[User], Client]


@dataclass(frozen=True)
class Address:
    """One page or action, what it needs, and what its address names."""

    name: str
    method: str = "get"
    permission: str = "queue:read"
    names: str = ""


ADDRESSES = [
    Address("queue_live"),
    Address("queue_figure", names="chart"),
    Address("queue_figure_table", names="chart"),
    Address("queue_requests"),
    Address("queue_request", names="request"),
    Address("queue_pause", "post", "queue:admin"),
    Address("queue_resume", "post", "queue:admin"),
    Address("queue_cancel_many", "post", "queue:write"),
    Address("queue_retry_many", "post", "queue:write"),
    Address("queue_cancel", "post", "queue:write", "request"),
    Address("queue_retry", "post", "queue:write", "request"),
]
OF_REQUESTS = [address for address in ADDRESSES if address.names == "request"]
by_name = pytest.mark.parametrize("address", ADDRESSES, ids=lambda address: address.name)


@pytest.fixture
def url_of(submit: Submit) -> Callable[[Address], str]:
    """The address with a request of the organization in it."""
    names = {"": [], "chart": ["throughput"], "request": [submit().id]}
    return lambda address: reverse(address.name, args=names[address.names])


@by_name
@pytest.mark.parametrize("role", list(Role))
def test_a_page_opens_for_exactly_the_roles_of_the_table(
    address: Address,
    role: Role,
    url_of: Callable[[Address], str],
    member_of: Callable[[Role], User],
    client_of: Browser,
) -> None:
    response = getattr(client_of(member_of(role)), address.method)(url_of(address))
    if role_allows(role, address.permission):
        assert response.status_code in (200, 302)
    else:
        assert response.status_code == 403
        assert "Not for your role" in response.text


@by_name
def test_a_page_needs_a_log_in(address: Address, url_of: Callable[[Address], str], client: Client) -> None:
    url = url_of(address)
    response = getattr(client, address.method)(url)
    assert (response.status_code, response.headers["Location"]) == (302, f"{reverse('login')}?next={url}")


@pytest.mark.parametrize("address", OF_REQUESTS, ids=lambda address: address.name)
def test_a_stranger_s_request_is_like_a_missing_one(
    address: Address, url_of: Callable[[Address], str], stranger: User, client_of: Browser
) -> None:
    client = client_of(stranger)
    theirs = getattr(client, address.method)(url_of(address))
    missing = getattr(client, address.method)(reverse(address.name, args=[uuid4()]))
    assert theirs.status_code == missing.status_code == 404
    with system_scope():
        assert AIRequest.objects.get().status == "pending"


@by_name
def test_somebody_without_an_organization_gets_404(
    address: Address, url_of: Callable[[Address], str], client_of: Browser
) -> None:
    nobody = User.objects.create_user("nobody")
    assert getattr(client_of(nobody), address.method)(url_of(address)).status_code == 404


@by_name
def test_another_method_is_refused(
    address: Address, url_of: Callable[[Address], str], owner: User, client_of: Browser
) -> None:
    assert client_of(owner).delete(url_of(address)).status_code == 405
    if address.method == "post":
        assert client_of(owner).get(url_of(address)).status_code == 405


@pytest.mark.parametrize("address", [a for a in ADDRESSES if a.method == "post"], ids=lambda address: address.name)
def test_a_form_without_a_csrf_token_is_refused(
    address: Address, url_of: Callable[[Address], str], owner: User
) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(owner)
    assert client.post(url_of(address)).status_code == 403
