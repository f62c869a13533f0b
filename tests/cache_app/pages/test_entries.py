"""`/cache/entries/`: the list, one entry, pinning, removing, clearing."""

import re
import time
from collections.abc import Callable
from uuid import uuid4

import pytest
from django.test import Client
from django.urls import reverse

from aiinfra.tenants.authorization import Role
from aiinfra.tenants.keys import create_key
from aiinfra.tenants.models import Organization
from cache_app.browsing import screens
from cache_app.models import JudgedBy, Judgement
from cache_app.store import browse
from cache_app.store.entry import Entry
from tests.cache_app.learning.made import make_entry, make_hit
from tests.cache_app.pages.support import HTMX, audited, queries_of, spaced, toast_of

URL = "/cache/entries/"
SECRET = "How do I report scope 1 emissions?"


def url_of(entry: Entry, action: str = "") -> str:
    return reverse(f"cache_entry{action}", args=[entry.id])


def kept(organization: Organization) -> int:
    return browse.count(organization.pk)


def questions(client: Client, **filters: str) -> list[str]:
    """Those on the page, from the top."""
    return [row.entry.question for row in client.get(URL, filters).context["page"].rows]


def make_some(organization: Organization, *texts: str, **values: object) -> list[Entry]:
    return [make_entry(organization, text, **values) for text in texts]


@pytest.fixture
def entry(organization: Organization) -> Entry:
    return make_entry(organization, SECRET, tags=("glossary",), user_ref="mara")


# The list


def test_without_entries_the_page_says_when_there_will_be_some(browser: Client) -> None:
    page = browser.get(URL).text
    assert "Nothing is kept yet" in page
    assert "Clear…" not in page


def test_the_newest_entry_is_on_top(organization: Organization, browser: Client) -> None:
    make_some(organization, "first", "second")
    assert questions(browser) == ["second", "first"]


def test_entries_of_another_organization_are_not_listed(entry: Entry, outsider: Client) -> None:
    assert questions(outsider) == []
    assert questions(outsider, id=entry.id) == []
    assert questions(outsider, tag="glossary") == []


def test_each_filter_narrows_the_list(organization: Organization, entry: Entry, browser: Client) -> None:
    make_some(organization, "other", tags=("other",))
    assert questions(browser, id=entry.id) == [SECRET]
    assert questions(browser, tag="glossary") == [SECRET]
    assert questions(browser, tag="glossary", model="openai/gpt-4") == [SECRET]
    assert len(questions(browser, model="gpt-4")) == 2
    assert questions(browser, id=entry.id, tag="other") == []


def test_where_nothing_matches_the_filters_can_be_cleared(entry: Entry, browser: Client) -> None:
    page = browser.get(URL, {"tag": "nonsense"}).text
    assert "No entry matches" in page
    assert f'href="{URL}"' in page


def test_a_filter_that_makes_no_sense_breaks_nothing(entry: Entry, browser: Client) -> None:
    for name in ("id", "tag", "model"):
        assert questions(browser, **{name: "\0nonsense"}) == [SECRET], name
    assert questions(browser, id="not an id") == []
    for cursor in ("nonsense", "\0", "9" * 40):
        assert browser.get(URL, {"cursor": cursor}).status_code == 200, cursor


def test_older_entries_are_on_the_next_page_and_the_filter_stays(
    organization: Organization, browser: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(screens, "PAGE_SIZE", 2)
    make_some(organization, "first", "second", "third", tags=("glossary",))
    first = browser.get(URL, {"tag": "glossary"})
    link = re.search(r'href="([^"]*cursor=[^"]+)"', first.text)
    assert link is not None
    second = browser.get(link[1].replace("&amp;", "&"))
    assert [row.entry.question for row in second.context["page"].rows] == ["first"]
    assert f'href="{URL}?tag=glossary"' in second.text


def test_htmx_gets_the_table_alone(entry: Entry, browser: Client) -> None:
    response = browser.get(URL, headers=HTMX)
    assert "<html" not in response.text
    assert 'id="entries"' in response.text
    assert "HX-Request" in response.headers["Vary"]


def test_without_redis_the_list_and_the_entry_say_so(
    entry: Entry, browser: Client, redis_away: Callable[[], None]
) -> None:
    redis_away()
    for url in (URL, url_of(entry)):
        response = browser.get(url)
        assert response.status_code == 200
        assert "Redis does not answer" in response.text


def test_more_entries_cost_no_more_queries(organization: Organization, entry: Entry, browser: Client) -> None:
    few = queries_of(browser, URL)
    make_some(organization, *(f"question {number}" for number in range(9)))
    assert queries_of(browser, URL) == few


def test_who_may_not_read_prompts_sees_no_question_and_no_buttons(entry: Entry, reader: Client) -> None:
    for url in (URL, url_of(entry)):
        page = reader.get(url).text
        assert entry.id[:8] in page
        assert SECRET not in page
        assert "In the first table." not in page
        assert "/remove/" not in page
        assert "/pin/" not in page
    assert "Clear…" not in reader.get(URL).text


# One entry


def test_an_entry_tells_its_request_key_user_and_time(organization: Organization, browser: Client) -> None:
    key, _ = create_key(organization=organization, name="website", role=Role.OPERATOR, actor="command:test")
    request_id = str(uuid4())
    now_ms = round(time.time() * 1000)
    entry = make_entry(
        organization,
        request_id=request_id,
        api_key_id=key.pk,
        user_ref="mara",
        tags=("glossary",),
        latency_ms=1_500,
        created_ms=now_ms - 60_000,
    )
    page = browser.get(url_of(entry)).text
    for shown in (
        entry.question,
        "In the first table.",
        f"/queue/requests/{request_id}/",
        "website",
        "mara",
        "glossary",
        "openai/gpt-4",
        "1.5 s",
    ):
        assert shown in page
    assert "It has answered nobody yet." in page
    assert "No question is blocked." in page


def test_an_entry_tells_whom_it_answered_and_what_it_must_not(organization: Organization, browser: Client) -> None:
    entry = make_entry(organization, bar=0.93)
    make_hit(organization, judgement=Judgement.WRONG, judged_by=JudgedBy.REPORT, saved_nano=2_000_000_000)
    page = spaced(browser.get(url_of(entry)).text)
    assert "How are scope 1 emissions reported?" in page
    assert "$2.00" in page
    assert "It needs a similarity of 0.930" in page
    assert '<span class="badge badge-bad">wrong</span>' in page


def test_what_an_entry_holds_is_text_and_no_html(organization: Organization, browser: Client) -> None:
    entry = make_entry(organization, "<script>alert(1)</script>", tags=("<b>",), user_ref="<i>")
    for url in (URL, url_of(entry)):
        page = browser.get(url).text
        assert "<script>alert(1)" not in page
        assert "<b>" not in page
        assert "<i>" not in page


def test_an_entry_that_is_gone_or_another_organization_s_is_not_found(
    entry: Entry, browser: Client, outsider: Client
) -> None:
    assert browser.get(reverse("cache_entry", args=["0" * 32])).status_code == 404
    assert outsider.get(url_of(entry)).status_code == 404


def test_an_entry_costs_the_same_with_one_and_ten_hits(organization: Organization, browser: Client) -> None:
    entry = make_entry(organization)
    make_hit(organization)
    few = queries_of(browser, url_of(entry))
    for number in range(9):
        make_hit(organization, asked=f"question {number}")
    assert queries_of(browser, url_of(entry)) == few


# Pinning and removing


def test_an_entry_is_pinned_and_unpinned_and_that_is_audited(
    organization: Organization, entry: Entry, browser: Client
) -> None:
    pinned = browser.post(url_of(entry, "_pin"), headers=HTMX)
    assert toast_of(pinned) == {"level": "success", "text": "The entry is pinned: it stays until it expires."}
    assert 'class="badge badge-accent">pinned' in pinned.text
    assert "<html" not in pinned.text
    unpinned = browser.post(url_of(entry, "_unpin"), headers=HTMX)
    assert 'class="badge badge-accent">pinned' not in unpinned.text
    assert audited(organization) == [
        ("user:operator", "cache.entry_pinned", entry.id),
        ("user:operator", "cache.entry_unpinned", entry.id),
    ]


def test_an_entry_is_removed_and_that_is_audited(organization: Organization, entry: Entry, browser: Client) -> None:
    response = browser.post(url_of(entry, "_remove") + "?tag=glossary")
    assert (response.status_code, response.headers["Location"]) == (302, f"{URL}?tag=glossary")
    assert kept(organization) == 0
    assert audited(organization) == [("user:operator", "cache.entry_removed", entry.id)]


def test_the_buttons_of_the_entry_s_page_lead_back_to_it_while_it_is_there(entry: Entry, browser: Client) -> None:
    page = browser.get(url_of(entry)).text
    pin = f"{url_of(entry, '_pin')}?on_entry"
    assert f'formaction="{pin}"' in page
    assert browser.post(pin).headers["Location"] == url_of(entry)
    assert browser.post(f"{url_of(entry, '_remove')}?on_entry").headers["Location"] == URL


@pytest.mark.parametrize("action", ["_pin", "_unpin", "_remove"])
def test_only_who_may_write_acts_on_an_entry(
    action: str,
    organization: Organization,
    entry: Entry,
    browser: Client,
    reader: Client,
    outsider: Client,
    client: Client,
) -> None:
    url = url_of(entry, action)
    assert client.post(url).status_code == 302
    assert reader.post(url).status_code == 403
    assert outsider.post(url).status_code == 404
    assert browser.get(url).status_code == 405
    assert browser.post(reverse(f"cache_entry{action}", args=["0" * 32])).status_code == 404
    found = browse.entry(organization.pk, entry.id)
    assert found is not None
    assert not found.pinned
    assert audited(organization) == []


@pytest.mark.parametrize("action", ["_pin", "_unpin", "_remove"])
def test_without_redis_nothing_is_changed_and_that_is_said(
    action: str, organization: Organization, entry: Entry, browser: Client, redis_away: Callable[[], None]
) -> None:
    redis_away()
    response = browser.post(url_of(entry, action), headers=HTMX)
    assert toast_of(response) == {"level": "error", "text": "Redis does not answer: nothing was changed."}
    assert audited(organization) == []


# Clearing


def test_entries_are_cleared_by_tags(organization: Organization, entry: Entry, browser: Client) -> None:
    make_some(organization, "two", tags=("two",))
    make_some(organization, "three", tags=("three",))
    response = browser.post(reverse("cache_clear"), {"what": "tags", "tags": "glossary, two, two"}, follow=True)
    assert "2 entries removed." in response.text
    assert questions(browser) == ["three"]
    assert audited(organization) == [("user:operator", "cache.cleared", "entries tagged glossary, two")]


def test_entries_are_cleared_by_model(organization: Organization, entry: Entry, browser: Client) -> None:
    response = browser.post(reverse("cache_clear"), {"what": "model", "model": " openai/gpt-4 "}, follow=True)
    assert "1 entry removed." in response.text
    assert kept(organization) == 0
    assert audited(organization) == [("user:operator", "cache.cleared", "entries of openai/gpt-4")]


def test_all_entries_are_cleared_after_the_name_was_typed(
    organization: Organization, other_organization: Organization, entry: Entry, browser: Client
) -> None:
    make_entry(other_organization, "theirs")
    response = browser.post(
        reverse("cache_clear"), {"what": "everything", "confirmation": organization.name}, follow=True
    )
    assert "1 entry removed." in response.text
    assert (kept(organization), kept(other_organization)) == (0, 1)
    assert audited(organization) == [("user:operator", "cache.cleared", "all entries")]


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({}, "This field is required."),
        ({"what": "nonsense"}, "not one of the available choices"),
        ({"what": "tags"}, "Say which tags."),
        ({"what": "tags", "tags": " , "}, "Say which tags."),
        ({"what": "model", "model": "gpt-4"}, "Say which one, as provider/model."),
        ({"what": "model", "model": "\0"}, "Null characters are not allowed."),
        ({"what": "everything"}, "to remove every entry."),
        ({"what": "everything", "confirmation": "north ltd"}, "Type North Ltd to remove every entry."),
    ],
)
def test_what_is_not_said_clearly_removes_nothing(
    fields: dict[str, str], said: str, organization: Organization, entry: Entry, browser: Client
) -> None:
    response = browser.post(reverse("cache_clear"), fields)
    assert response.status_code == 422
    assert said in response.text
    assert "data-open" in response.text
    assert kept(organization) == 1
    assert audited(organization) == []


def test_only_who_may_write_clears(
    organization: Organization, entry: Entry, browser: Client, reader: Client, outsider: Client, client: Client
) -> None:
    fields = {"what": "everything", "confirmation": organization.name}
    assert client.post(reverse("cache_clear"), fields).status_code == 302
    assert reader.post(reverse("cache_clear"), fields).status_code == 403
    assert outsider.post(reverse("cache_clear"), fields).status_code == 422
    assert browser.get(reverse("cache_clear")).status_code == 405
    assert kept(organization) == 1


def test_without_redis_nothing_is_cleared_and_that_is_said(
    organization: Organization, entry: Entry, browser: Client, redis_away: Callable[[], None]
) -> None:
    redis_away()
    response = browser.post(reverse("cache_clear"), {"what": "tags", "tags": "glossary"}, follow=True)
    assert "Redis does not answer: nothing was changed." in response.text
    assert audited(organization) == []


@pytest.mark.parametrize("url", [URL, f"{URL}{'0' * 32}/"])
def test_the_pages_need_a_log_in_and_are_only_read(url: str, client: Client, browser: Client) -> None:
    assert client.get(url).headers["Location"] == f"/login/?next={url}"
    assert browser.post(url).status_code == 405
