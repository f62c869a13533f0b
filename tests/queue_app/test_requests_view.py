import csv
import io
import json
import re
from collections.abc import Callable
from datetime import UTC, datetime
from uuid import uuid4
from zoneinfo import ZoneInfo

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from aiinfra.tenants.models import AuditEvent, Organization, User
from aiinfra.tenants.scope import organization_scope
from cost_app.facade import ModelNotPricedError
from cost_app.ledger.rollups import fold
from queue_app import control, request_lists
from queue_app.models import AIRequest, Priority, RequestContent
from queue_app.ordering.claims import Claim
from queue_app.pages import export
from queue_app.processing.provider_call import process
from tests.queue_app.conftest import ScriptedProvider
from tests.support.dates import TIME_ZONE

Submit = Callable[..., AIRequest]
Browser = Callable[[User], Client]
HTMX = {"HX-Request": "true"}
URL = "/queue/requests/"


def listed(browser: Client, **filters: str) -> list[str]:
    """The IDs of the listed requests, in order."""
    return [str(row.request.id) for row in browser.get(URL, filters).context["rows"]]


def toast_of(response: object) -> dict[str, str]:
    found: dict[str, str] = json.loads(response.headers["HX-Trigger"])["toast"]  # type: ignore[attr-defined]
    return found


def cancel(request: AIRequest) -> None:
    with organization_scope(request.organization_id):
        control.cancel(request, actor="user:x")


def status_of(request: AIRequest) -> str:
    with organization_scope(request.organization_id):
        return AIRequest.objects.get(id=request.id).status


def test_an_empty_list_is_explained(queue: None, browser: Client) -> None:
    assert "No requests yet" in browser.get(URL).text


def test_filters_without_a_match_can_be_cleared(submit: Submit, browser: Client) -> None:
    submit()
    page = browser.get(URL, {"status": "failed"}).text
    assert "No matching requests" in page
    assert f'href="{URL}"' in page


def test_the_newest_request_is_on_top(submit: Submit, browser: Client) -> None:
    first, second = submit(), submit()
    assert listed(browser) == [str(second.id), str(first.id)]


def test_answers_from_the_cache_are_marked(submit: Submit, browser: Client) -> None:
    made = {cached: submit() for cached in (True, False)}
    with organization_scope(made[True].organization_id):
        AIRequest.objects.filter(id=made[True].id).update(cached=True)
    rows = browser.get(URL).text.split("<tr ")[2:]
    assert {(str(made[True].id) in row, ">cached</span>" in row) for row in rows} == {(False, False), (True, True)}
    for cached, request in made.items():
        assert (">cached</span>" in browser.get(f"{URL}{request.id}/").text) is cached


def test_other_organizations_requests_are_not_listed(
    submit: Submit, other_organization: Organization, browser: Client
) -> None:
    theirs = submit(organization_id=other_organization.pk)
    assert listed(browser) == []
    assert listed(browser, id=str(theirs.id)) == []


def test_each_filter_narrows_the_list(submit: Submit, browser: Client) -> None:
    submit()
    wanted = submit(provider="openai", model="gpt-4", priority=Priority.HIGH, user_ref="mara", conversation_id="talk-1")
    filters = {
        "priority": "high",
        "provider": "openai",
        "model": "gpt-4",
        "user": "mara",
        "conversation": "talk-1",
        "id": str(wanted.id),
    }
    for name, value in filters.items():
        assert listed(browser, **{name: value}) == [str(wanted.id)], name
    cancel(wanted)
    assert listed(browser, status="cancelled") == [str(wanted.id)]


def test_an_invalid_filter_is_ignored(submit: Submit, browser: Client) -> None:
    request = submit()
    for name in ("status", "priority", "provider", "model"):
        assert listed(browser, **{name: "\0nonsense"}) == [str(request.id)], name
    assert listed(browser, cursor="nonsense") == [str(request.id)]
    assert listed(browser, id="not-an-id") == []


def test_older_requests_are_on_the_next_page_with_the_same_filter(
    submit: Submit, browser: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(request_lists, "PAGE_SIZE", 2)
    monkeypatch.setattr(request_lists.page_of, "__defaults__", (None, 2))
    sent = [str(submit(user_ref="mara").id) for _ in range(3)]
    first = browser.get(URL, {"user": "mara"})
    link = re.search(r'href="([^"]*cursor=[^"]+)"', first.text)
    assert link is not None
    second = browser.get(link[1].replace("&amp;", "&"))
    assert [str(row.request.id) for row in second.context["rows"]] == sent[:1]
    assert second.context["form"]["user"].value() == "mara"
    assert f'href="{URL}?user=mara"' in second.text


def test_htmx_gets_only_the_table(submit: Submit, browser: Client) -> None:
    submit()
    response = browser.get(URL, headers=HTMX)
    assert "<html" not in response.text
    assert 'id="requests"' in response.text
    assert "HX-Request" in response.headers["Vary"]


def test_only_the_first_page_refreshes_itself(submit: Submit, browser: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    submit()
    assert "data-live" in browser.get(URL, headers=HTMX).text
    monkeypatch.setattr(request_lists.page_of, "__defaults__", (None, 1))
    submit()
    older = browser.get(URL).context["older"]
    assert "data-live" not in browser.get(f"{URL}?{older}", headers=HTMX).text


def test_one_request_is_cancelled_by_its_button_and_audited(submit: Submit, browser: Client) -> None:
    request, other = submit(), submit()
    url = reverse("queue_cancel_many") + "?status=pending"
    response = browser.post(url, {"only": str(request.id), "id": [str(other.id)]})
    assert (response.status_code, response.headers["Location"]) == (302, f"{URL}?status=pending")
    assert [status_of(request), status_of(other)] == ["cancelled", "pending"]
    with organization_scope(request.organization_id):
        event = AuditEvent.objects.get()
    assert (event.actor, event.verb, event.target) == ("user:operator", "request.cancelled", str(request.id))


def test_selected_requests_are_cancelled_and_retried_together(submit: Submit, browser: Client) -> None:
    both = [submit(), submit()]
    ids = {"id": [str(each.id) for each in both]}
    cancelled = browser.post(reverse("queue_cancel_many"), ids, headers=HTMX)
    assert toast_of(cancelled) == {"level": "success", "text": "2 requests cancelled."}
    assert [row.request.status for row in cancelled.context["rows"]] == ["cancelled", "cancelled"]
    retried = browser.post(reverse("queue_retry_many"), ids, headers=HTMX)
    assert toast_of(retried)["text"] == "2 requests queued again."
    assert [status_of(each) for each in both] == ["pending", "pending"]


def test_a_refusal_is_shown_once(submit: Submit, browser: Client) -> None:
    ended, waiting = submit(), submit()
    cancel(ended)
    response = browser.post(reverse("queue_cancel_many"), {"id": [str(ended.id), str(waiting.id)]}, headers=HTMX)
    assert toast_of(response) == {
        "level": "warning",
        "text": "1 request cancelled. 1 skipped: The request has already ended.",
    }


def test_a_request_whose_prompt_was_deleted_is_not_retried(submit: Submit, browser: Client) -> None:
    request = submit()
    cancel(request)
    with organization_scope(request.organization_id):
        RequestContent.objects.all().delete()
    response = browser.post(reverse("queue_retry_many"), {"only": str(request.id)}, headers=HTMX)
    assert "The prompt of this request has been deleted by retention." in toast_of(response)["text"]


def refuse(_order: object) -> None:
    """Replaces `open_attempt`, as if the model had no price."""
    raise ModelNotPricedError("openai/gpt-4 is not in the price book")


def test_a_request_whose_model_lost_its_price_is_not_retried(
    submit: Submit, browser: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = submit()
    cancel(request)
    monkeypatch.setattr(control.cost, "open_attempt", refuse)
    response = browser.post(reverse("queue_retry_many"), {"only": str(request.id)}, headers=HTMX)
    assert "is not in the price book" in toast_of(response)["text"]
    assert status_of(request) == "cancelled"


def test_no_selection_and_other_organizations_requests_change_nothing(
    submit: Submit, browser: Client, other_organization: Organization
) -> None:
    theirs = submit(organization_id=other_organization.pk)
    for chosen in ({}, {"id": str(theirs.id)}, {"id": str(uuid4())}, {"id": "\0"}):
        response = browser.post(reverse("queue_cancel_many"), chosen, headers=HTMX)
        assert toast_of(response)["text"] == "No request was selected."
    assert status_of(theirs) == "pending"


def test_members_without_permission_see_no_buttons(
    submit: Submit, viewer: User, browser: Client, client_of: Browser
) -> None:
    submit()
    assert "Cancel selected" in browser.get(URL).text
    page = client_of(viewer).get(URL).text
    assert "Cancel selected" not in page
    assert "cancel/" not in page
    assert 'type="checkbox"' not in page


def test_more_requests_cost_no_more_queries(submit: Submit, browser: Client) -> None:
    submit()
    with CaptureQueriesContext(connection) as few:
        browser.get(URL)
    for _ in range(49):
        submit()
    with CaptureQueriesContext(connection) as many:
        browser.get(URL)
    assert len(many) == len(few)


def test_the_filter_offers_only_models_that_were_used(
    submit: Submit, claimed: Callable[..., Claim], provider: ScriptedProvider, browser: Client
) -> None:
    process(claimed())
    fold()
    options = [value for value, _ in browser.get(URL).context["form"].fields["model"].choices]
    assert options == ["", "deepseek-chat"]


def test_period_filter_is_kept_in_the_url_in_local_time(submit: Submit, browser: Client) -> None:
    submit()
    context = browser.get(URL, {"since": "2026-01-01T10:30", "until": "0001-01-01T00:00"}).context
    assert context["filters"] == "since=2026-01-01T10%3A30"
    assert len(context["rows"]) == 1
    assert context["form"].cleaned_data["since"].isoformat() == "2026-01-01T09:30:00+00:00"


def test_filters_distinguish_the_repeated_hour_when_clocks_go_back(submit: Submit, browser: Client) -> None:
    first, second = submit(), submit()
    with organization_scope(first.organization_id):
        AIRequest.objects.filter(id=first.id).update(created_at=datetime(2026, 10, 25, 0, 30, tzinfo=UTC))
        AIRequest.objects.filter(id=second.id).update(created_at=datetime(2026, 10, 25, 1, 30, tzinfo=UTC))
    switch, end = "2026-10-25T02:00+01:00", "2026-10-25T03:00"
    assert listed(browser, since=switch, until=end) == [str(second.id)]
    assert listed(browser, since="2026-10-25T02:00+02:00", until=switch) == [str(first.id)]
    assert listed(browser, since="2026-10-25T02:00", until="2026-10-25T02:00") == [str(first.id)]
    page = browser.get(URL, {"since": switch, "until": end})
    assert page.context["filters"] == "since=2026-10-25T02%3A00%2B01%3A00&until=2026-10-25T03%3A00"
    assert 'value="2026-10-25T02:00"' in page.text


def test_filters_find_names_in_any_spelling(submit: Submit, browser: Client) -> None:
    named, _ = submit(user_ref="Jos\u00e9", tags=["Z\u00fcrich"]), submit()
    assert listed(browser, user="Jose\u0301") == listed(browser, tag="Zu\u0308rich\u200b") == [str(named.id)]


def test_the_filtered_list_is_exported_as_safe_csv(
    submit: Submit, browser: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export, "PAGE", 2)
    monkeypatch.setattr(export, "EXPORTED_MAX", 3)
    submit(user_ref="someone else")
    requests = [submit(user_ref="=1+1", tags=["a b", "c"]) for _ in range(4)]
    response = browser.get("/queue/requests/export/", {"user": "=1+1"})
    assert response.headers["Content-Disposition"] == 'attachment; filename="requests.csv"'
    rows = list(csv.DictReader(io.StringIO(b"".join(response.streaming_content).decode())))  # type: ignore[attr-defined]
    assert [row["request_id"] for row in rows] == [str(each.id) for each in requests[:0:-1]]
    assert {(row["user_id"], row["tags"], row["status"], row["cost_usd"]) for row in rows} == {
        ("'=1+1", '["a b", "c"]', "pending", "0.00")
    }
    berlin = requests[-1].created_at.astimezone(ZoneInfo(TIME_ZONE))
    assert rows[0]["created_at"] == berlin.isoformat(timespec="milliseconds")
