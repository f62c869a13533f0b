"""Changing the limits of providers."""

from collections.abc import Callable

import pytest
from django.test import Client
from django.urls import reverse

from aiinfra.tenants.models import User
from cost_app.models import ProviderLimit
from queue_app.ordering import provider_limits
from tests.queue_app.provider_limits import CHAT, Submit, limit, started


def test_staff_changes_a_limit_in_the_admin(submit: Submit, owner: User, client_of: Callable[[User], Client]) -> None:
    owner.is_staff = owner.is_superuser = True
    owner.save()
    ProviderLimit.objects.create(provider="deepseek", model="deepseek-chat", requests_per_minute=100)
    row = ProviderLimit.objects.get(model="deepseek-chat")
    fields = {"provider": "deepseek", "model": "deepseek-chat", "requests_per_minute": 1, "expected_latency_ms": 900}
    response = client_of(owner).post(reverse("admin:cost_app_providerlimit_change", args=[row.pk]), fields)
    assert response.status_code == 302, response.text
    row.refresh_from_db()
    assert (row.requests_per_minute, row.changed_by) == (1, "user:owner")


@pytest.mark.parametrize(("provider", "model"), [("deepsek", ""), ("deepseek", "deepseek-chatt")])
def test_a_limit_for_an_unknown_model_is_refused(
    provider: str, model: str, queue: None, owner: User, client_of: Callable[[User], Client]
) -> None:
    owner.is_staff = owner.is_superuser = True
    owner.save()
    fields = {"provider": provider, "model": model, "requests_per_minute": 1}
    response = client_of(owner).post(reverse("admin:cost_app_providerlimit_add"), fields)
    assert response.status_code == 200
    assert not ProviderLimit.objects.filter(provider=provider, model=model).exclude(changed_by="").exists()


def test_a_deleted_limit_no_longer_applies(submit: Submit, owner: User, client_of: Callable[[User], Client]) -> None:
    owner.is_staff = owner.is_superuser = True
    owner.save()
    limit(CHAT, 1)
    row = ProviderLimit.objects.get(model="deepseek-chat")
    client_of(owner).post(reverse("admin:cost_app_providerlimit_delete", args=[row.pk]), {"post": "yes"})
    provider_limits.enter_limits()
    submit()
    submit()
    assert len(started()) == 2
