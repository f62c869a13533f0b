"""`/alerts/` and its API."""

import re
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from aiinfra.tenants.authorization import Role
from aiinfra.tenants.models import AuditEvent, Organization, User
from aiinfra.tenants.scope import organization_scope, system_scope
from cost_app.alerts.lifecycle import COUNT_MAX
from cost_app.models import Alert, Budget

ClientOf = Callable[[User], Client]
MakeAlert = Callable[..., Alert]
WHY = {
    "from": "2026-03-01",
    "to": "2026-03-04",
    "comparedFrom": "2026-02-01",
    "change": 10**9,
    "price": 0,
    "volume": 10**9,
    "mix": 0,
    "contributors": [{"dimension": "model", "value": "a/b", "name": "a/b", "nano": 2 * 10**9, "change": 10**9}],
}


@pytest.fixture
def make_alert(organization: Organization) -> MakeAlert:
    """Creates an alert with these columns."""

    def make(**columns: object) -> Alert:
        with system_scope():
            number = Alert.objects.count()
            defaults = {
                "organization": organization,
                "kind": "budget_warning",
                "severity": "medium",
                "cause": f"cause:{number}",
                "message": f"Alert {number}",
            }
            return Alert.objects.create(**{**defaults, **columns})

    return make


def test_the_inbox_lists_unresolved_alerts(make_alert: MakeAlert, viewer: User, client_of: ClientOf) -> None:
    make_alert(message="Still open")
    make_alert(message="Long over", state="resolved")
    client = client_of(viewer)
    page = client.get("/alerts/").content.decode()
    assert "Still open" in page and "Long over" not in page
    assert "Long over" in client.get("/alerts/?state=all").content.decode()
    assert "Still open" not in client.get("/alerts/?severity=critical").content.decode()
    assert "No matching alerts" in client.get("/alerts/?kind=overrun").content.decode()


@pytest.mark.parametrize("state", ["open", "acknowledged", "snoozed", "resolved"])
def test_state_is_shown_as_a_badge(make_alert: MakeAlert, viewer: User, client_of: ClientOf, state: str) -> None:
    alert, badge = make_alert(state=state), f'<span class="badge  alert-state-{state}">{state}</span>'
    for url in ("/alerts/?state=all", f"/alerts/{alert.pk}/"):
        assert badge in client_of(viewer).get(url).content.decode()


def test_the_empty_inbox_says_so(viewer: User, client_of: ClientOf) -> None:
    assert "No open alerts" in client_of(viewer).get("/alerts/").content.decode()


def test_the_effects_in_an_explanation_have_the_same_number_of_decimals(
    make_alert: MakeAlert, viewer: User, client_of: ClientOf
) -> None:
    alert = make_alert(explanation={**WHY, "change": 30 * 10**9, "volume": 29_419_800_000, "mix": 580_200_000})
    page = " ".join(client_of(viewer).get(f"/alerts/{alert.pk}/").text.split())
    assert "+$30.00: +$29.42 from the number of calls, +$0.58 from calls" in page


def test_an_alert_page_shows_the_explanation(make_alert: MakeAlert, viewer: User, client_of: ClientOf) -> None:
    alert = make_alert(explanation=WHY)
    page = client_of(viewer).get(f"/alerts/{alert.pk}/").content.decode()
    assert "a/b" in page and "changed by +$1.00: +$1.00 from the number of calls" in " ".join(page.split())
    assert "<title>Budget warning · aiinfra</title>" in page
    assert "Acknowledge" not in page


def test_alert_page_names_contributors_in_words(make_alert: MakeAlert, viewer: User, client_of: ClientOf) -> None:
    key = {"dimension": "api_key", "value": "k", "name": "shop", "nano": 10**9, "change": 5 * 10**8}
    alert = make_alert(kind="unusual_usage", explanation={**WHY, "contributors": [key]})
    page = client_of(viewer).get(f"/alerts/{alert.pk}/").content.decode()
    assert "API key" in page and "api_key" not in page and "+$0.50" in page
    assert "Unusual usage" in page and "Unusual Usage" not in page
    assert "Unusual usage" in client_of(viewer).get("/alerts/").content.decode()


@pytest.mark.parametrize("with_htmx", [True, False])
@pytest.mark.parametrize(
    ("action", "state"), [("acknowledge", "acknowledged"), ("snooze", "snoozed"), ("resolve", "resolved")]
)
def test_an_alert_is_acknowledged_snoozed_and_resolved(
    make_alert: MakeAlert, operator: User, client_of: ClientOf, action: str, state: str, with_htmx: bool
) -> None:
    alert, client = make_alert(), client_of(operator)
    headers = {"HX-Request": "true"} if with_htmx else {}
    response = client.post(f"/alerts/{alert.pk}/{action}/", {"for": "1d"}, headers=headers)
    assert response.status_code == (200 if with_htmx else 302)
    with system_scope():
        alert.refresh_from_db()
        assert AuditEvent.objects.filter(verb__startswith="alert.").count() == 1
    assert alert.state == state


def test_a_resolved_alert_cannot_be_acknowledged(make_alert: MakeAlert, operator: User, client_of: ClientOf) -> None:
    alert = make_alert(state="resolved")
    response = client_of(operator).post(f"/alerts/{alert.pk}/acknowledge/", headers={"HX-Request": "true"})
    assert response.status_code == 422


def test_several_alerts_can_be_acknowledged_together(
    make_alert: MakeAlert, operator: User, client_of: ClientOf
) -> None:
    selected, other = make_alert(), make_alert()
    client_of(operator).post("/alerts/acknowledge/", {"id": [str(selected.pk), "x"]})
    with system_scope():
        assert Alert.objects.get(pk=selected.pk).state == "acknowledged"
        assert Alert.objects.get(pk=other.pk).state == "open"


def test_unknown_snooze_duration_is_rejected(make_alert: MakeAlert, operator: User, client_of: ClientOf) -> None:
    assert client_of(operator).post(f"/alerts/{make_alert().pk}/snooze/", {"for": "ever"}).status_code == 404


@pytest.mark.parametrize("action", ["acknowledge", "snooze", "resolve"])
def test_viewers_cannot_change_alerts_and_other_organizations_get_404(
    make_alert: MakeAlert, viewer: User, operator: User, stranger: User, client_of: ClientOf, action: str
) -> None:
    address = f"/alerts/{make_alert().pk}/{action}/"
    assert client_of(viewer).post(address).status_code == 403
    assert client_of(stranger).post(address).status_code == 404
    assert client_of(operator).get(address).status_code == 405


def test_inbox_is_paginated(make_alert: MakeAlert, viewer: User, client_of: ClientOf) -> None:
    made = [make_alert() for _ in range(52)]
    client = client_of(viewer)
    first = client.get("/alerts/")
    assert [alert.pk for alert in first.context["alerts"]] == [alert.pk for alert in made[:1:-1]]
    second = client.get(f"/alerts/?{first.context['older']}")
    assert [alert.pk for alert in second.context["alerts"]] == [made[1].pk, made[0].pk]
    assert "Alert 0<" in second.content.decode()


def test_inbox_runs_a_limited_number_of_queries(
    make_alert: MakeAlert, viewer: User, client_of: ClientOf, django_assert_max_num_queries: Callable[..., object]
) -> None:
    client = client_of(viewer)
    for _ in range(30):
        make_alert()
    client.get("/alerts/")
    with django_assert_max_num_queries(7):  # type: ignore[attr-defined]
        client.get("/alerts/")


def test_api_acknowledges_and_resolves_alerts(
    make_alert: MakeAlert, member_of: Callable[[Role], User], organization: Organization
) -> None:
    from aiinfra.tenants.keys import create_key

    alert = make_alert()
    with organization_scope(organization.pk):
        _, key = create_key(organization=organization, name="k", role=Role.FINANCE, actor="user:owner")
    client, headers = Client(), {"Authorization": f"Bearer {key}"}

    def post(**body: object) -> tuple[int, dict[str, object]]:
        answer = client.post("/api/ai/cost", body, content_type="application/json", headers=headers)
        return answer.status_code, answer.json()

    listed = client.get("/api/ai/cost?action=alerts&acknowledged=false", headers=headers).json()["alerts"]
    assert [each["alertId"] for each in listed] == [str(alert.pk)]
    status, body = post(action="acknowledge-alert", alertId=str(alert.pk))
    assert (status, body["status"]) == (200, "acknowledged")
    until = (timezone.now() + timedelta(days=99)).isoformat()
    assert post(action="snooze-alert", alertId=str(alert.pk), until=until)[0] == 400
    assert post(action="resolve-alert", alertId=str(alert.pk))[0] == 200
    assert post(action="acknowledge-alert", alertId=str(alert.pk))[0] == 409
    assert post(action="acknowledge-alert", alertId=str(alert.pk + 1))[0] == 404


def test_navigation_shows_the_number_of_open_alerts(make_alert: MakeAlert, operator: User, client_of: ClientOf) -> None:
    client = client_of(operator)
    assert not _count(client.get("/alerts/").text)
    alert, _ = make_alert(), make_alert()
    make_alert(state="acknowledged")
    assert _count(client.get("/queue/").text) == "2"
    done = client.post(f"/alerts/{alert.pk}/acknowledge/", headers={"HX-Request": "true"})
    assert "alerts-changed" in done.headers["HX-Trigger"]
    assert _count(client.get("/alerts/count/").text) == "1"


def test_the_alert_count_is_capped(make_alert: MakeAlert, viewer: User, client_of: ClientOf) -> None:
    for _ in range(COUNT_MAX + 1):
        make_alert()
    assert _count(client_of(viewer).get("/alerts/count/").text) == "99+"


def _count(page: str) -> str:
    found = re.search(r'id="alert-count"[^>]*>([^<]*)<', page)
    assert found is not None
    return found[1].strip()


@pytest.mark.parametrize(
    ("columns", "links"),
    [
        (
            {"kind": "cost_spike", "cause": "spike:hour:2026-03-02T08:00", "explanation": WHY},
            [
                "/queue/requests/?since=2026-03-02T09%3A00&amp;until=2026-03-02T10%3A00",
                "/costs/?from=2026-03-01&amp;to=2026-03-03",
            ],
        ),
        (
            {"kind": "cost_spike", "cause": "spike:hour:2026-10-25T00:00"},  # the first of two hours at 02:00
            ["/queue/requests/?since=2026-10-25T02%3A00%2B02%3A00&amp;until=2026-10-25T02%3A00%2B01%3A00"],
        ),
        (
            {"kind": "price_missing", "cause": "price:openai/gpt-9"},
            ["/prices/?text=gpt-9", "/queue/requests/?provider=openai&amp;model=gpt-9"],
        ),
        ({"kind": "error_rate"}, ["/queue/requests/?status=failed"]),
    ],
)
def test_an_alert_links_to_its_subject(
    make_alert: MakeAlert, viewer: User, client_of: ClientOf, columns: dict[str, object], links: list[str]
) -> None:
    Organization.objects.update(time_zone="Europe/Berlin")
    page = client_of(viewer).get(f"/alerts/{make_alert(**columns).pk}/").text
    for link in links:
        assert f'href="{link}"' in page


@pytest.mark.parametrize(
    ("scope", "value", "query"),
    [
        ("organization", "", ""),
        ("tag", "a b", "?tag=a+b"),
        ("user", "ann", "?user=ann"),
        ("model", "openai/gpt-4", "?provider=openai&amp;model=gpt-4"),
    ],
)
def test_a_budget_alert_links_to_the_budget_and_its_requests(
    make_alert: MakeAlert,
    organization: Organization,
    viewer: User,
    client_of: ClientOf,
    scope: str,
    value: str,
    query: str,
) -> None:
    with system_scope():
        budget = Budget.objects.create(
            organization=organization, period="daily", scope=scope, scope_value=value, limit_nano=10**9
        )
    page = client_of(viewer).get(f"/alerts/{make_alert(budget=budget).pk}/").text
    assert f'href="/budgets/{budget.pk}/"' in page
    assert f'href="/queue/requests/{query}"' in page
