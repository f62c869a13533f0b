"""A form takes effect once, even if it is submitted several times."""

import re
from collections.abc import Callable

import pytest
from django.test import Client
from django.utils import timezone
from pytest_django.fixtures import Settings

from aiinfra import idempotency
from aiinfra.notifications.models import Channel
from aiinfra.tenants.models import ApiKey, Invitation, OnceAnswer, Organization, User
from aiinfra.tenants.scope import system_scope
from cost_app.models import Budget, BudgetIncrease
from tests.support.html_forms import Form, forms_of

ClientOf = Callable[[User], Client]
FILLED_IN = {
    "/settings/keys/": ("/settings/keys/create/", {"name": "bot", "role": "viewer"}, ApiKey),
    "/settings/members/": ("/settings/members/invite/", {"email": "new@example.com", "role": "viewer"}, Invitation),
    "/settings/notifications/": (
        "/settings/notifications/add/",
        {"name": "Ops", "kind": "email", "target": "ops@example.com", "min_severity": "low"},
        Channel,
    ),
}


def form_to(client: Client, page: str, action: str) -> Form:
    return next(form for form in forms_of(client.get(page).text, page) if form.action == action)


def count(model: type) -> int:
    with system_scope():
        return int(model.objects.count())  # type: ignore[attr-defined]


@pytest.mark.parametrize("page", FILLED_IN)
def test_a_form_submitted_twice_takes_effect_once(
    page: str, owner: User, client_of: ClientOf, settings: Settings
) -> None:
    settings.EMAIL_HOST = "mail.example.com"
    client, (action, values, model) = client_of(owner), FILLED_IN[page]
    data = {**form_to(client, page, action).data(), **values}
    answers = [client.post(action, data, HTTP_REFERER=f"http://testserver{page}") for _ in range(3)]
    assert answers[0].status_code in (200, 302)
    assert [answer.status_code for answer in answers[1:]] == [302, 302]
    assert count(model) == 1
    assert "already sent this form" in client.get(page).text


@pytest.fixture
def budget(organization: Organization) -> Budget:
    with system_scope():
        return Budget.objects.create(organization=organization, period="monthly", limit_nano=10**9)


def increase(client: Client, budget: Budget, **values: str) -> tuple[str, dict[str, object]]:
    action = f"/budgets/{budget.pk}/increase/"
    form = form_to(client, f"/budgets/{budget.pk}/", action)
    return action, {**form.data(), "amount": "5", "reason": "launch", **values}


def test_a_second_click_redirects_like_the_first(budget: Budget, owner: User, client_of: ClientOf) -> None:
    client = client_of(owner)
    action, data = increase(client, budget)
    assert [client.post(action, data)["Location"] for _ in range(2)] == [f"/budgets/{budget.pk}/"] * 2
    assert count(BudgetIncrease) == 1


def test_a_re_rendered_or_changed_form_is_a_new_submission(budget: Budget, owner: User, client_of: ClientOf) -> None:
    client = client_of(owner)
    action, data = increase(client, budget)
    client.post(action, data)
    client.post(action, {**data, "amount": "6"})
    client.post(*increase(client, budget))
    assert count(BudgetIncrease) == 3


def test_a_rejected_form_can_be_submitted_again(budget: Budget, owner: User, client_of: ClientOf) -> None:
    client = client_of(owner)
    action, data = increase(client, budget, reason="")
    assert [client.post(action, data).status_code for _ in range(2)] == [422, 422]
    assert count(OnceAnswer) == 0


def test_a_form_in_progress_is_not_run_twice(
    budget: Budget, owner: User, client_of: ClientOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = client_of(owner)
    action, data = increase(client, budget)
    monkeypatch.setattr(
        "aiinfra.idempotent_forms.store_answer", lambda *_: None
    )  # the first submission is still in progress
    client.post(action, data)
    assert client.post(action, data, headers={"HX-Request": "true"}).status_code == 204
    assert "being processed" in client.post(action, data, follow=True).text
    assert count(BudgetIncrease) == 1


def test_no_secret_is_stored_in_plain_text(owner: User, client_of: ClientOf) -> None:
    client = client_of(owner)
    action, values, _ = FILLED_IN["/settings/keys/"]
    answer = client.post(action, {**form_to(client, "/settings/keys/", action).data(), **values}, follow=True)
    secret = re.search(r"aik_[A-Za-z0-9_-]+", answer.text)
    with system_scope():
        kept = OnceAnswer.objects.get()
    assert (kept.status, kept.body) == (302, "/settings/keys/")
    assert secret
    assert secret.group() not in f"{kept.body}{kept.digest}{kept.fingerprint}"


def test_old_answers_are_deleted_in_batches(organization: Organization, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(idempotency, "FORGET_BATCH", 2)
    old = timezone.now() - idempotency.KEPT * 1.01
    with system_scope():
        for number in range(4):
            at = old if number < 3 else timezone.now()
            OnceAnswer.objects.create(organization=organization, digest=f"{number}", created_at=at, status=200)
    assert [idempotency.delete_expired_answers() for _ in range(3)] == [2, 1, 0]
    assert count(OnceAnswer) == 1
