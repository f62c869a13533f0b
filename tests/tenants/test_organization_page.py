from collections.abc import Callable

from django.test import Client
from django.urls import reverse

from aiinfra.tenants.models import Organization, User


def test_admin_changes_name_and_time_zone(
    organization: Organization, admin: User, client_of: Callable[[User], Client]
) -> None:
    values = {"name": "Far North", "time_zone": "Asia/Tokyo"}
    response = client_of(admin).post(reverse("organization"), values, follow=True)
    assert "Saved." in response.text
    organization.refresh_from_db()
    assert (organization.name, organization.time_zone) == ("Far North", "Asia/Tokyo")


def test_invalid_values_are_rejected_and_the_page_header_is_unchanged(
    organization: Organization, admin: User, client_of: Callable[[User], Client]
) -> None:
    values = {"name": "Unsaved", "time_zone": "Mars/Base"}
    response = client_of(admin).post(reverse("organization"), values)
    assert response.status_code == 422
    assert "errorlist" in response.text
    assert "The name and time zone of North Ltd" in response.text
