"""`/cache/settings/`: the organization's cache settings."""

import pytest
from django.test import Client

from aiinfra.tenants.models import AuditEvent, Organization
from aiinfra.tenants.scope import organization_scope
from cache_app.models import CachePolicy
from tests.cache_app.pages.support import audited, policy_in, queries_of, spaced

URL = "/cache/settings/"
FORM = {
    "mode": "exact",
    "threshold": "0.9",
    "shared_with": "api_key",
    "ttl_hours": "48",
    "max_entries": "5000",
    "max_temperature": "0.5",
    "other_languages": "similar",
    "error_target": "1.5",
    "reask_share": "2",
    "reask_day": "3.25",
}
STORED = {
    "mode": "exact",
    "threshold": 0.9,
    "shared_with": "api_key",
    "ttl_hours": 48,
    "max_entries": 5000,
    "max_temperature": 0.5,
    "other_languages": "similar",
    "error_target": 0.015,
    "reask_share": 0.02,
    "reask_day_nano": 3_250_000_000,
}


def stored(organization: Organization) -> dict[str, object]:
    policy = policy_in(organization)
    assert policy is not None
    return {name: getattr(policy, name) for name in STORED}


def test_defaults_are_shown_before_the_first_change(manager: Client) -> None:
    page = spaced(manager.get(URL).text)
    assert "No changes: the defaults apply." in page
    assert "Leave empty for the embedder&#x27;s default, 0.85." in page
    assert 'value="24"' in page


def test_settings_are_saved_in_their_units_and_audited(organization: Organization, manager: Client) -> None:
    page = spaced(manager.post(URL, FORM, follow=True).text)
    assert "Settings saved." in page
    assert stored(organization) == STORED
    assert audited(organization) == [("user:admin", "cache_policy.changed", "cache settings")]
    for shown in (
        "the embedder&#x27;s default</span> → 0.90",
        "2.0%</span> → 1.5%",
        "$3.25",
        'value="3.25"',
        "5,000",
    ):
        assert shown in page


def test_saving_the_shown_values_changes_nothing(organization: Organization, manager: Client) -> None:
    manager.post(URL, FORM)
    form = manager.get(URL).context["form"]
    again = {name: form[name].value() for name in FORM}
    manager.post(URL, {name: "" if value is None else value for name, value in again.items()})
    assert stored(organization) == STORED
    assert len(audited(organization)) == 1


def test_an_empty_threshold_uses_the_embedders_default(organization: Organization, manager: Client) -> None:
    manager.post(URL, FORM)
    manager.post(URL, {**FORM, "threshold": ""})
    assert stored(organization)["threshold"] is None


@pytest.mark.parametrize(
    "wrong",
    [
        {"mode": "nonsense"},
        {"threshold": "0.4"},
        {"threshold": "1.01"},
        {"threshold": "nan"},
        {"shared_with": "everybody"},
        {"ttl_hours": "0"},
        {"ttl_hours": "2161"},
        {"max_entries": ""},
        {"max_entries": "1000001"},
        {"max_temperature": "2.1"},
        {"error_target": "0"},
        {"error_target": "21"},
        {"reask_share": "-1"},
        {"reask_share": "20.1"},
        {"reask_day": "-1"},
        {"reask_day": "0"},
        {"reask_day": "99999999"},
        {"reask_day": "\0"},
    ],
    ids=str,
)
def test_an_invalid_setting_is_refused_and_changes_nothing(
    wrong: dict[str, str], organization: Organization, manager: Client
) -> None:
    response = manager.post(URL, {**FORM, **wrong})
    assert response.status_code == 422
    assert list(response.context["form"].errors) == list(wrong)
    assert 'aria-invalid="true"' in response.text
    assert policy_in(organization) is None
    assert audited(organization) == []


def test_only_admins_open_the_settings(
    organization: Organization, browser: Client, reader: Client, client: Client
) -> None:
    for person in (browser, reader):
        assert person.get(URL).status_code == 403
        assert person.post(URL, FORM).status_code == 403
        assert URL not in person.get("/cache/").text
    response = client.post(URL, FORM, headers={"Referer": f"http://testserver{URL}"})
    assert response.headers["Location"] == f"/login/?next={URL}"
    assert policy_in(organization) is None


def test_a_stranger_changes_only_their_own_settings(
    organization: Organization, other_organization: Organization, outsider: Client, manager: Client
) -> None:
    manager.post(URL, FORM)
    outsider.post(URL, {**FORM, "ttl_hours": "7"})
    assert stored(organization) == STORED
    assert stored(other_organization)["ttl_hours"] == 7
    assert len(audited(organization)) == 1


def test_other_methods_are_refused(manager: Client) -> None:
    assert manager.delete(URL).status_code == 405


def test_the_number_of_queries_does_not_depend_on_the_number_of_changes(
    organization: Organization, manager: Client
) -> None:
    manager.post(URL, FORM)
    few = queries_of(manager, URL)
    for hours in range(1, 10):
        manager.post(URL, {**FORM, "ttl_hours": str(hours)})
    assert queries_of(manager, URL) == few
    with organization_scope(organization.pk):
        assert AuditEvent.objects.count() == 10
        assert CachePolicy.objects.count() == 1
