"""`/cache/settings/`: the rules of an organization."""

from collections.abc import Callable

import pytest
from django.test import Client

from aiinfra.tenants.models import Organization
from aiinfra.tenants.scope import organization_scope
from cache_app.models import CacheMode, SharedWith
from cache_app.policy import change_policy
from tests.cache_app.pages.support import audited, policy_in, queries_of, spaced

URL = "/cache/settings/"
RULES = {
    "mode": "exact",
    "threshold": "0.91",
    "shared_with": "api_key",
    "ttl_hours": "48",
    "max_entries": "5000",
    "max_temperature": "0.5",
    "error_target": "3.5",
    "reask_share": "2.5",
    "reask_day": "1.25",
}


def test_the_defaults_are_shown_while_nobody_has_set_rules(manager: Client) -> None:
    response = manager.get(URL)
    assert "None: the defaults hold." in response.text
    assert "minilm-l6-v2-int8/1" in response.text
    assert "own, 0.85." in response.text
    form = response.context["form"]
    assert form["mode"].value() == CacheMode.SEMANTIC
    assert form["threshold"].value() is None
    assert [str(form[name].value()) for name in ("error_target", "reask_share", "reask_day")] == ["2.0", "0.0", "0.00"]


def test_rules_are_saved_and_audited(organization: Organization, manager: Client) -> None:
    response = manager.post(URL, RULES)
    assert (response.status_code, response.headers["Location"]) == (302, URL)
    policy = policy_in(organization)
    assert policy is not None
    assert (policy.mode, policy.threshold, policy.shared_with) == (CacheMode.EXACT, 0.91, SharedWith.API_KEY)
    assert (policy.ttl_hours, policy.max_entries, policy.max_temperature) == (48, 5_000, 0.5)
    assert (policy.error_target, policy.reask_share, policy.reask_day_nano) == (0.035, 0.025, 1_250_000_000)
    assert audited(organization) == [("user:admin", "cache_policy.changed", "rules for the cache")]


def test_what_was_saved_is_shown_and_saving_it_again_changes_nothing(
    organization: Organization, manager: Client
) -> None:
    page = spaced(manager.post(URL, RULES, follow=True).text)
    assert "The rules are saved." in page
    for shown in ('value="0.91"', 'value="3.5"', 'value="2.5"', 'value="1.25"', 'value="5000"'):
        assert shown in page
    manager.post(URL, RULES)
    assert len(audited(organization)) == 1


def test_an_empty_threshold_is_the_embedder_s_own(organization: Organization, manager: Client) -> None:
    manager.post(URL, RULES)
    manager.post(URL, {**RULES, "threshold": ""})
    policy = policy_in(organization)
    assert policy is not None
    assert policy.threshold is None


def test_changes_are_told_in_words_and_in_the_organization_s_currency(
    organization: Organization, manager: Client
) -> None:
    Organization.objects.filter(pk=organization.pk).update(currency="EUR")
    page = spaced(manager.post(URL, RULES, follow=True).text)
    for label, before, after in (
        ("Mode", "semantic", "exact"),
        ("Similarity threshold", "the embedder&#x27;s own", "0.91"),
        ("Shared with", "organization", "api key"),
        ("Entries kept at most", "100,000", "5,000"),
        ("Hits asked again", "0.0 %", "2.5 %"),
        ("Asking again, a day", "€0.00", "€1.25"),
    ):
        assert f'{label}</span> <span class="faint">{before}</span> → {after}' in page
    assert "In EUR." in page


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("mode", "nonsense", "not one of the available choices"),
        ("threshold", "0.49", "greater than or equal to 0.5"),
        ("threshold", "1.01", "less than or equal to 1.0"),
        ("threshold", "nan", "Enter a number."),
        ("shared_with", "everybody", "not one of the available choices"),
        ("ttl_hours", "0", "greater than or equal to 1"),
        ("ttl_hours", "2161", "less than or equal to 2160"),
        ("max_entries", "0", "greater than or equal to 1"),
        ("max_entries", "1000001", "less than or equal to 1000000"),
        ("max_temperature", "2.1", "less than or equal to 2.0"),
        ("error_target", "0", "greater than or equal to 0.1"),
        ("error_target", "NaN", "Enter a number."),
        ("reask_share", "20.1", "less than or equal to 20"),
        ("reask_day", "-1", "greater than or equal to 0"),
        ("reask_day", "0", "Say what it may cost, or ask none again."),
        ("reask_day", "1e30", "no more than"),
        ("ttl_hours", "", "This field is required."),
    ],
)
def test_a_rule_that_makes_no_sense_is_refused_and_changes_nothing(
    field: str, value: str, said: str, organization: Organization, manager: Client
) -> None:
    response = manager.post(URL, {**RULES, field: value})
    assert response.status_code == 422
    assert said in response.text
    assert list(response.context["form"].errors) == [field]
    assert (policy_in(organization), audited(organization)) == (None, [])


def test_an_empty_form_is_refused(organization: Organization, manager: Client) -> None:
    assert manager.post(URL, {}).status_code == 422
    assert policy_in(organization) is None


def test_only_who_manages_the_cache_sees_and_sets_rules(
    organization: Organization, browser: Client, reader: Client, client: Client
) -> None:
    assert client.get(URL).headers["Location"] == f"/login/?next={URL}"
    for member in (browser, reader):
        assert member.get(URL).status_code == 403
        assert member.post(URL, RULES).status_code == 403
        assert f'href="{URL}"' not in member.get("/cache/").text
    assert policy_in(organization) is None


def test_rules_are_those_of_the_own_organization(
    organization: Organization, other_organization: Organization, outsider: Client
) -> None:
    assert outsider.post(URL, RULES).status_code == 302
    assert (policy_in(organization), audited(organization)) == (None, [])
    assert policy_in(other_organization) is not None


def test_another_method_is_refused(manager: Client) -> None:
    assert manager.put(URL).status_code == 405
    assert manager.delete(URL).status_code == 405


def test_rules_are_read_and_saved_without_redis(
    organization: Organization, manager: Client, redis_away: Callable[[], None]
) -> None:
    redis_away()
    assert manager.get(URL).status_code == 200
    assert manager.post(URL, RULES).status_code == 302
    assert policy_in(organization) is not None


def test_more_changes_cost_no_more_queries(organization: Organization, manager: Client) -> None:
    def change(hours: int) -> None:
        with organization_scope(organization.pk):
            change_policy(organization_id=organization.pk, changes={"ttl_hours": hours}, actor="command:test")

    change(1)
    few = queries_of(manager, URL)
    for hours in range(2, 11):
        change(hours)
    assert queries_of(manager, URL) == few
