"""`/cache/review/`: judging cached answers."""

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from aiinfra.tenants.models import Organization
from aiinfra.tenants.scope import organization_scope
from cache_app.models import CacheHit, JudgedBy, Judgement, Layer
from cache_app.review.words import compared
from cache_app.store import browse
from tests.cache_app.learning.made import make_entry, make_hit
from tests.cache_app.pages.support import HTMX, audited, queries_of, spaced, toast_of

URL = "/cache/review/"
REPORTED = {"judgement": Judgement.WRONG, "judged_by": JudgedBy.REPORT}
DOUBTFUL = {"judgement": Judgement.DOUBTFUL, "judged_by": JudgedBy.REASK, "fresh_answer": "In the second table."}


def url_of(hit: CacheHit) -> str:
    return reverse("cache_judgement", args=[hit.id])


def judgement_of(hit: CacheHit) -> str:
    with organization_scope(hit.organization_id):
        return CacheHit.objects.get(id=hit.id).judgement


def test_the_empty_review_page_says_so(browser: Client) -> None:
    assert "Nothing to decide" in browser.get(URL).text
    assert "Every pair is judged" in browser.get(URL, {"show": "unjudged"}).text


def test_pairs_are_shown_side_by_side_with_differences_marked(organization: Organization, browser: Client) -> None:
    make_hit(organization, **DOUBTFUL)
    page = spaced(browser.get(URL).text)
    for shown in (
        '<mark class="cache-differs">reported</mark>',
        '<mark class="cache-differs">first</mark>',
        '<mark class="cache-differs">second</mark>',
        "Similarity 0.910",
        "doubtful",
        "Fresh answer",
    ):
        assert shown in page


@pytest.mark.parametrize(
    ("show", "found"),
    [
        ("open", {"reported?", "doubtful?"}),
        ("reported", {"reported?"}),
        ("doubtful", {"doubtful?"}),
        ("unjudged", {"unjudged?"}),
        ("nonsense", {"reported?", "doubtful?"}),
    ],
)
def test_each_kind_shows_its_own_pairs(show: str, found: set[str], organization: Organization, browser: Client) -> None:
    make_hit(organization, "reported?", **REPORTED)
    make_hit(organization, "doubtful?", **DOUBTFUL)
    make_hit(organization, "unjudged?")
    make_hit(organization, "equal?", layer=Layer.EXACT)
    make_hit(organization, "judged?", judgement=Judgement.RIGHT, judged_by=JudgedBy.REVIEW)
    make_hit(organization, "old?", at=timezone.now() - timedelta(days=31), **REPORTED)
    response = browser.get(URL, {"show": show})
    assert {pair.hit.question for pair in response.context["pairs"]} == found
    assert [count for _, _, count in response.context["kinds"]] == [2, 1, 1, 1]


def test_members_without_content_permission_see_no_texts(organization: Organization, reader: Client) -> None:
    hit = make_hit(organization, **REPORTED)
    page = reader.get(URL).text
    assert "Your role can't view prompts and answers." in page
    assert "emissions" not in page
    assert "In the first table" not in page
    assert url_of(hit) not in page


def test_deleted_texts_are_explained(organization: Organization, browser: Client) -> None:
    make_hit(organization, "", cached_question="", answer="", **REPORTED)
    assert "Deleted by retention." in browser.get(URL).text


def test_other_organizations_pairs_are_not_shown(organization: Organization, outsider: Client) -> None:
    make_hit(organization, **REPORTED)
    assert "Nothing to decide" in outsider.get(URL).text


def test_older_pairs_are_on_further_pages(organization: Organization, browser: Client) -> None:
    at = timezone.now()
    for number in range(12):
        make_hit(organization, f"number {number:02}?", at=at - timedelta(minutes=number // 3), **REPORTED)
    first = browser.get(URL)
    second = browser.get(f"{URL}?{first.context['older']}")
    asked = [pair.hit.question for page in (first, second) for pair in page.context["pairs"]]
    assert sorted(asked) == [f"number {number:02}?" for number in range(12)]
    assert "Newest" in second.text
    assert len(browser.get(URL, {"cursor": "\0nonsense"}).context["pairs"]) == 10


def test_the_number_of_queries_does_not_depend_on_the_number_of_pairs(
    organization: Organization, browser: Client
) -> None:
    make_hit(organization, **REPORTED)
    few = queries_of(browser, URL)
    for number in range(9):
        make_hit(organization, f"number {number}?", **REPORTED)
    assert queries_of(browser, URL) == few


@pytest.mark.django_db(transaction=True)
def test_a_pair_judged_wrong_is_blocked_and_that_is_audited(organization: Organization, browser: Client) -> None:
    entry, hit = make_entry(organization), make_hit(organization)
    response = browser.post(url_of(hit), {"judgement": "wrong"}, headers=HTMX)
    assert "no longer served for this question" in toast_of(response)["text"]
    assert "Judged wrong." in response.text
    assert "<html" not in response.text
    assert judgement_of(hit) == Judgement.WRONG
    found = browse.entry(organization.pk, entry.id)
    assert found is not None
    assert len(found.blocked) == 1
    ((actor, verb, target),) = audited(organization)
    assert (actor, verb) == ("user:operator", "cache_hit.judged")
    assert str(hit.id) in target
    assert "judged wrong by" in spaced(browser.get(reverse("cache_entry", args=[entry.id])).text)


def test_without_javascript_the_form_returns_to_the_list(organization: Organization, browser: Client) -> None:
    hit = make_hit(organization, **REPORTED)
    response = browser.post(f"{url_of(hit)}?show=reported", {"judgement": "right"})
    assert (response.status_code, response.headers["Location"]) == (302, f"{URL}?show=reported")
    assert judgement_of(hit) == Judgement.RIGHT
    assert "Nothing to decide" in browser.get(URL).text


@pytest.mark.parametrize("form", [{}, {"judgement": "doubtful"}, {"judgement": "\0"}])
def test_an_invalid_judgment_changes_nothing(form: dict[str, Any], organization: Organization, browser: Client) -> None:
    hit = make_hit(organization)
    assert browser.post(url_of(hit), form).status_code == 422
    assert judgement_of(hit) == ""
    assert audited(organization) == []


def test_only_the_organizations_operators_judge(
    organization: Organization, browser: Client, reader: Client, outsider: Client, client: Client
) -> None:
    hit = make_hit(organization)
    wrong = {"judgement": "wrong"}
    assert reader.post(url_of(hit), wrong).status_code == 403
    assert outsider.post(url_of(hit), wrong).status_code == 404
    assert client.post(url_of(hit), wrong).status_code == 302
    assert browser.get(url_of(hit)).status_code == 405
    assert browser.post(reverse("cache_judgement", args=[uuid4()]), wrong).status_code == 404
    assert judgement_of(hit) == ""


def test_the_page_requires_login_and_get(client: Client, reader: Client) -> None:
    assert client.get(URL).headers["Location"] == f"/login/?next={URL}"
    assert reader.post(URL).status_code == 405


@pytest.mark.no_database
@pytest.mark.parametrize(
    ("one", "other", "differs"),
    [
        ("How do I reset it?", "How can I reset it?", (["do"], ["can"])),
        ("Is it  Big?", "is it big?", ([], [])),
        ("in 2023", "in 2024", (["2023"], ["2024"])),
        ("", "all of it", ([], ["all of it"])),
        ("x " * 2_000, "y", ([], [])),
    ],
)
def test_different_words_are_marked_and_texts_are_complete(
    one: str, other: str, differs: tuple[list[str], list[str]]
) -> None:
    sides = compared(one, other)
    assert tuple("".join(piece.text for piece in side) for side in sides) == (one, other)
    assert tuple([piece.text for piece in side if piece.differs] for side in sides) == differs
