"""What holds for every operator's page; tests/api/test_authorization_matrix.py says who may open it."""

from collections.abc import Callable
from dataclasses import dataclass
from uuid import uuid4

import pytest
from django.test import Client
from django.urls import reverse

from aiinfra.tenants.models import User
from aiinfra.tenants.scope import system_scope
from queue_app.models import AIRequest

Submit = Callable[..., AIRequest]
Browser = Callable[[User], Client]


@dataclass(frozen=True)
class Address:
    """One page or action, and what its address names."""

    name: str
    method: str = "get"
    names: str = ""


ADDRESSES = [
    Address("queue_live"),
    Address("queue_figure", names="chart"),
    Address("queue_figure_table", names="chart"),
    Address("queue_requests"),
    Address("queue_request", names="request"),
    Address("queue_pause", "post"),
    Address("queue_resume", "post"),
    Address("queue_cancel_many", "post"),
    Address("queue_retry_many", "post"),
    Address("queue_cancel", "post", "request"),
    Address("queue_retry", "post", "request"),
]
OF_REQUESTS = [address for address in ADDRESSES if address.names == "request"]
by_name = pytest.mark.parametrize("address", ADDRESSES, ids=lambda address: address.name)


@pytest.fixture
def url_of(submit: Submit) -> Callable[[Address], str]:
    """The address with a request of the organization in it."""
    names = {"": [], "chart": ["throughput"], "request": [submit().id]}
    return lambda address: reverse(address.name, args=names[address.names])


@pytest.mark.parametrize("address", OF_REQUESTS, ids=lambda address: address.name)
def test_another_organizations_request_is_404(
    address: Address, url_of: Callable[[Address], str], stranger: User, client_of: Browser
) -> None:
    client = client_of(stranger)
    theirs = getattr(client, address.method)(url_of(address))
    missing = getattr(client, address.method)(reverse(address.name, args=[uuid4()]))
    assert theirs.status_code == missing.status_code == 404
    with system_scope():
        assert AIRequest.objects.get().status == "pending"


@by_name
def test_a_user_without_an_organization_gets_404(
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
