"""Updates of an open list of requests."""

from collections.abc import Callable

from django.test import Client

from aiinfra.tenants.models import Organization
from aiinfra.tenants.scope import organization_scope
from queue_app import control
from queue_app.models import AIRequest

Submit = Callable[..., AIRequest]
HTMX = {"HX-Request": "true"}
URL = "/queue/requests/"
CHANGES = "/queue/requests/changes/"


def shown(browser: Client) -> dict[str, str]:
    """What the list sends with each poll: its rows with their versions, and the newest one."""
    context = browser.get(URL).context
    rows = ",".join(f"{row.request.id.hex}.{row.version}" for row in context["rows"])
    return {"rows": rows, "newest": context["newest"]}


def test_an_unchanged_list_gets_304(submit: Submit, browser: Client) -> None:
    submit()
    query = shown(browser)
    first = browser.get(CHANGES, query, headers=HTMX)
    assert "<tr" not in first.text
    assert len(first.content) < 600
    again = browser.get(CHANGES, query, headers={**HTMX, "If-None-Match": first.headers["ETag"]})
    assert again.status_code == 304


def test_only_changed_rows_are_sent(submit: Submit, browser: Client) -> None:
    changed, same = submit(), submit()
    query = shown(browser)
    with organization_scope(changed.organization_id):
        control.cancel(changed, actor="user:x")
    page = browser.get(CHANGES, query, headers=HTMX).text
    assert f'id="request-{changed.id}"' in page
    assert f'id="request-{same.id}"' not in page
    assert page.count('hx-swap-oob="true"') == 1


def test_new_requests_of_the_filter_are_announced_and_not_listed(submit: Submit, browser: Client) -> None:
    submit()
    query = shown(browser)
    submit(user_ref="mara")
    submit()
    page = browser.get(CHANGES, query, headers=HTMX).text
    assert "2 new requests" in page
    assert "<tr" not in page
    filtered = browser.get(CHANGES, {**query, "user": "mara"}, headers=HTMX).text
    assert "1 new request\n" in filtered
    assert f'href="{URL}?user=mara"' in filtered


def test_other_organizations_and_invalid_rows_change_nothing(
    submit: Submit, browser: Client, other_organization: Organization
) -> None:
    foreign = submit(organization_id=other_organization.pk)
    page = browser.get(CHANGES, {"rows": f"{foreign.id.hex}.0,nonsense,", "newest": "nonsense"}, headers=HTMX)
    assert page.status_code == 200
    assert "<tr" not in page.text
