"""Checks that apply to every operator page; tests/api/test_authorization_matrix.py covers who may open it."""

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
class Endpoint:
    """A page or an action, and the kind of object in its URL."""

    name: str
    method: str = "get"
    names: str = ""


ENDPOINTS = [
    Endpoint("queue_live"),
    Endpoint("queue_figure", names="chart"),
    Endpoint("queue_figure_table", names="chart"),
    Endpoint("queue_requests"),
    Endpoint("queue_request", names="request"),
    Endpoint("queue_pause", "post"),
    Endpoint("queue_resume", "post"),
    Endpoint("queue_cancel_many", "post"),
    Endpoint("queue_retry_many", "post"),
    Endpoint("queue_cancel", "post", "request"),
    Endpoint("queue_retry", "post", "request"),
]
REQUEST_ENDPOINTS = [endpoint for endpoint in ENDPOINTS if endpoint.names == "request"]
by_name = pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda endpoint: endpoint.name)


@pytest.fixture
def url_of(submit: Submit) -> Callable[[Endpoint], str]:
    """Fills the URL of an endpoint with a request of the organization."""
    names = {"": [], "chart": ["throughput"], "request": [submit().id]}
    return lambda endpoint: reverse(endpoint.name, args=names[endpoint.names])


@pytest.mark.parametrize("endpoint", REQUEST_ENDPOINTS, ids=lambda endpoint: endpoint.name)
def test_another_organizations_request_is_404(
    endpoint: Endpoint, url_of: Callable[[Endpoint], str], stranger: User, client_of: Browser
) -> None:
    client = client_of(stranger)
    foreign = getattr(client, endpoint.method)(url_of(endpoint))
    missing = getattr(client, endpoint.method)(reverse(endpoint.name, args=[uuid4()]))
    assert foreign.status_code == missing.status_code == 404
    with system_scope():
        assert AIRequest.objects.get().status == "pending"


@by_name
def test_a_user_without_an_organization_gets_404(
    endpoint: Endpoint, url_of: Callable[[Endpoint], str], client_of: Browser
) -> None:
    nobody = User.objects.create_user("nobody")
    assert getattr(client_of(nobody), endpoint.method)(url_of(endpoint)).status_code == 404


@by_name
def test_another_method_is_refused(
    endpoint: Endpoint, url_of: Callable[[Endpoint], str], owner: User, client_of: Browser
) -> None:
    assert client_of(owner).delete(url_of(endpoint)).status_code == 405
    if endpoint.method == "post":
        assert client_of(owner).get(url_of(endpoint)).status_code == 405


@pytest.mark.parametrize("endpoint", [a for a in ENDPOINTS if a.method == "post"], ids=lambda endpoint: endpoint.name)
def test_a_form_without_a_csrf_token_is_refused(
    endpoint: Endpoint, url_of: Callable[[Endpoint], str], owner: User
) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(owner)
    assert client.post(url_of(endpoint)).status_code == 403
