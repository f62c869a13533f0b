"""`/cache/entries/`: the list of entries, their origin, and their removal."""

from collections.abc import Callable

import pytest
from django.test import Client
from django.urls import reverse

from aiinfra.tenants import keys
from aiinfra.tenants.authorization import Role
from aiinfra.tenants.models import Organization
from cache_app.models import JudgedBy, Judgement
from cache_app.store import browse
from cache_app.store.entry import Entry
from tests.cache_app.learning.made import ASKED, CACHED, make_entry, make_hit
from tests.cache_app.pages.support import HTMX, audited, queries_of, spaced, toast_of

URL = "/cache/entries/"
CLEAR = "/cache/entries/clear/"
ACTIONS = ["pin", "unpin", "remove"]
MISSING = "f" * 32


def url_of(entry: Entry, action: str = "") -> str:
    name = f"cache_entry_{action}" if action else "cache_entry"
    return reverse(name, args=[entry.id])


def stored(organization: Organization, entry: Entry) -> Entry | None:
    return browse.entry(organization.pk, entry.id)


# The list


def test_the_empty_page_explains_how_to_add_entries(browser: Client) -> None:
    page = browser.get(URL).text
    assert "No entries yet" in page
    assert 'data-dialog="#clear"' not in page


def test_the_list_shows_entries_and_actions(organization: Organization, browser: Client) -> None:
    make_entry(organization, tags=("faq",), pinned=True)
    page = browser.get(URL).text
    for shown in (CACHED, "gpt-4", ">faq<", ">pinned<", "Unpin", "Remove", 'data-dialog="#clear"'):
        assert shown in page


def test_members_without_content_permission_see_ids_only(organization: Organization, reader: Client) -> None:
    entry = make_entry(organization)
    for page in (reader.get(URL).text, reader.get(url_of(entry)).text):
        assert entry.id[:8] in page
        assert "scope 1 emissions" not in page
        assert "In the first table." not in page
        assert "csrf_token" not in page.split("<main", 1)[1]
        assert "/remove/" not in page


def test_other_organizations_entries_are_not_listed(organization: Organization, outsider: Client) -> None:
    make_entry(organization)
    assert "No entries yet" in outsider.get(URL).text


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({"tag": "faq"}, [CACHED]),
        ({"model": "openai/gpt-4"}, [CACHED, "What else?"]),
        ({"model": "gpt-4"}, [CACHED, "What else?"]),
        ({"model": "openai/gpt-5"}, []),
        ({"tag": "\0", "cursor": "nonsense"}, [CACHED, "What else?"]),
        ({"cursor": "nonsense"}, [CACHED, "What else?"]),
        ({"id": "nonsense"}, []),
        ({"tag": "x" * 201}, [CACHED, "What else?"]),
    ],
)
def test_the_list_is_filtered(
    query: dict[str, str], found: list[str], organization: Organization, browser: Client
) -> None:
    make_entry(organization, tags=("faq",))
    make_entry(organization, "What else?")
    page = browser.get(URL, query).text
    assert [text for text in (CACHED, "What else?") if text in page] == found
    if not found:
        assert "No matching entries" in page


def test_an_entry_is_found_by_its_id(organization: Organization, browser: Client) -> None:
    entry = make_entry(organization)
    make_entry(organization, "What else?")
    page = browser.get(URL, {"id": entry.id}).text
    assert CACHED in page
    assert "What else?" not in page


def test_older_entries_are_on_further_pages(organization: Organization, browser: Client) -> None:
    for number in range(30):
        make_entry(organization, f"Question number {number:02}?")
    first = browser.get(URL)
    second = browser.get(f"{URL}?{first.context['older']}")
    asked = [row.entry.question for page in (first, second) for row in page.context["page"].rows]
    assert sorted(asked) == [f"Question number {number:02}?" for number in range(30)]
    assert "Newest" in second.text


def test_htmx_gets_only_the_table(organization: Organization, browser: Client) -> None:
    make_entry(organization)
    part = browser.get(URL, headers=HTMX)
    assert part.text.lstrip().startswith('<div class="card" id="entries">')
    assert "<html" in browser.get(URL).text
    assert "HX-Request" in part.headers["Vary"]


def test_the_number_of_queries_does_not_depend_on_the_number_of_rows(
    organization: Organization, browser: Client
) -> None:
    entry = make_entry(organization)
    make_hit(organization)
    few = queries_of(browser, URL), queries_of(browser, url_of(entry))
    for number in range(9):
        make_entry(organization, f"Question number {number}?")
        make_hit(organization, asked=f"Question number {number}?")
    assert (queries_of(browser, URL), queries_of(browser, url_of(entry))) == few


def test_without_redis_the_pages_say_so(
    organization: Organization, browser: Client, redis_away: Callable[[], None]
) -> None:
    entry = make_entry(organization)
    redis_away()
    for url in (URL, url_of(entry)):
        page = browser.get(url)
        assert page.status_code == 200
        assert "Redis is not responding" in page.text


# One entry


def test_an_entry_shows_its_origin_and_hits(organization: Organization, browser: Client) -> None:
    key, _ = keys.create_key(organization=organization, name="bot", role=Role.OPERATOR, actor="command:test")
    request = make_hit(organization, judgement=Judgement.WRONG, judged_by=JudgedBy.REPORT)
    entry = make_entry(organization, request_id=str(request.id), api_key_id=key.pk, user_ref="u-17", tags=("faq",))
    page = spaced(browser.get(url_of(entry)).text)
    for shown in (entry.id, CACHED, "In the first table.", "bot", "u-17", "openai/gpt-4", ">faq<", ASKED, "0.910"):
        assert shown in page
    assert reverse("queue_request", args=[request.id]) in page
    assert "badge-bad" in page


def test_times_are_in_the_organization_s_time_zone(organization: Organization, browser: Client) -> None:
    expires_ms = 4_102_488_000_000  # noon on January 1, 2100, UTC
    entry = make_entry(organization, expires_ms=expires_ms)
    for url in (URL, url_of(entry)):
        assert "2100-01-01 13:00" in browser.get(url).text


def test_answers_are_escaped(organization: Organization, browser: Client) -> None:
    entry = make_entry(organization, "<script>alert(1)</script> what is that?")
    for url in (URL, url_of(entry)):
        assert "<script>alert" not in browser.get(url).text


def test_missing_and_other_organizations_entries_are_404(organization: Organization, outsider: Client) -> None:
    entry = make_entry(organization)
    assert outsider.get(url_of(entry)).status_code == 404
    assert outsider.get(reverse("cache_entry", args=[MISSING])).status_code == 404


# Pin, unpin, remove


def test_an_entry_is_pinned_and_unpinned_and_both_are_audited(organization: Organization, browser: Client) -> None:
    entry = make_entry(organization)
    response = browser.post(url_of(entry, "pin"), headers=HTMX)
    assert toast_of(response)["text"] == "Entry pinned until it expires."
    assert ">pinned<" in response.text
    assert stored(organization, entry).pinned  # type: ignore[union-attr]
    assert browser.post(url_of(entry, "unpin")).headers["Location"] == URL
    assert not stored(organization, entry).pinned  # type: ignore[union-attr]
    assert audited(organization) == [
        ("user:operator", "cache.entry_pinned", entry.id),
        ("user:operator", "cache.entry_unpinned", entry.id),
    ]


def test_a_removed_entry_disappears_from_the_filtered_list(organization: Organization, browser: Client) -> None:
    entry, other = make_entry(organization, tags=("faq",)), make_entry(organization, "What else?")
    response = browser.post(f"{url_of(entry, 'remove')}?tag=faq", headers=HTMX)
    assert "No matching entries" in response.text
    assert stored(organization, entry) is None
    assert stored(organization, other)
    assert audited(organization) == [("user:operator", "cache.entry_removed", entry.id)]


def test_actions_on_an_entry_page_return_to_it(organization: Organization, browser: Client) -> None:
    entry = make_entry(organization)
    assert browser.post(f"{url_of(entry, 'pin')}?on_entry").headers["Location"] == url_of(entry)
    assert browser.post(f"{url_of(entry, 'remove')}?on_entry").headers["Location"] == URL


@pytest.mark.parametrize("action", ACTIONS)
def test_only_the_organizations_operators_change_entries(
    action: str, organization: Organization, browser: Client, reader: Client, outsider: Client, client: Client
) -> None:
    entry = make_entry(organization)
    url = url_of(entry, action)
    assert reader.post(url).status_code == 403
    assert outsider.post(url).status_code == 404
    assert client.post(url).status_code == 302
    assert browser.get(url).status_code == 405
    found = stored(organization, entry)
    assert found is not None
    assert not found.pinned
    assert audited(organization) == []


@pytest.mark.parametrize("action", ACTIONS)
def test_without_redis_nothing_changes_and_the_page_says_so(
    action: str, organization: Organization, browser: Client, redis_away: Callable[[], None]
) -> None:
    entry = make_entry(organization)
    redis_away()
    response = browser.post(url_of(entry, action), headers=HTMX)
    assert toast_of(response)["text"] == "Redis is not responding. Nothing was changed."
    assert audited(organization) == []


# Clearing


@pytest.mark.parametrize(
    ("form", "left", "target"),
    [
        ({"what": "tags", "tags": " faq, faq ,old"}, ["What else?"], "entries tagged faq, old"),
        ({"what": "model", "model": "openai/gpt-4"}, [], "entries of openai/gpt-4"),
        ({"what": "everything", "confirmation": "North Ltd"}, [], "all entries"),
    ],
)
def test_entries_are_cleared_and_that_is_audited(
    form: dict[str, str], left: list[str], target: str, organization: Organization, browser: Client
) -> None:
    entries = [make_entry(organization, tags=("faq",)), make_entry(organization, "What else?")]
    response = browser.post(CLEAR, form, follow=True)
    removed = len(entries) - len(left)
    assert f"{removed} {'entry' if removed == 1 else 'entries'} removed." in response.text
    assert [entry.question for entry in entries if stored(organization, entry)] == left
    assert audited(organization) == [("user:operator", "cache.cleared", target)]


@pytest.mark.parametrize(
    ("form", "said"),
    [
        ({}, "This field is required"),
        ({"what": "nonsense"}, "Select a valid choice"),
        ({"what": "tags", "tags": " , "}, "Enter at least one tag."),
        ({"what": "model", "model": "gpt-4"}, "Enter a model as provider/model."),
        ({"what": "everything", "confirmation": "north"}, "Type North Ltd to remove every entry."),
    ],
)
def test_an_invalid_form_removes_nothing_and_stays_open(
    form: dict[str, str], said: str, organization: Organization, browser: Client
) -> None:
    entry = make_entry(organization, tags=("faq",))
    response = browser.post(CLEAR, form)
    assert response.status_code == 422
    assert said in response.text
    assert "data-open" in response.text
    assert stored(organization, entry)
    assert audited(organization) == []


def test_only_operators_clear_their_organizations_entries(
    organization: Organization, browser: Client, reader: Client, outsider: Client, client: Client
) -> None:
    entry = make_entry(organization)
    everything = {"what": "everything", "confirmation": "North Ltd"}
    assert reader.post(CLEAR, everything).status_code == 403
    assert client.post(CLEAR, everything).status_code == 302
    assert outsider.post(CLEAR, {"what": "everything", "confirmation": "South Ltd"}).status_code == 302
    assert browser.delete(CLEAR).status_code == 405
    assert stored(organization, entry)


def test_without_redis_nothing_is_cleared(
    organization: Organization, browser: Client, redis_away: Callable[[], None]
) -> None:
    redis_away()
    response = browser.post(CLEAR, {"what": "everything", "confirmation": "North Ltd"}, follow=True)
    assert "Redis is not responding. Nothing was changed." in response.text
    assert audited(organization) == []


def test_the_pages_require_login(organization: Organization, client: Client) -> None:
    for url in (URL, url_of(make_entry(organization))):
        response = client.get(url)
        assert (response.status_code, response.headers["Location"]) == (302, f"/login/?next={url}")
