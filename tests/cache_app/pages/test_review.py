"""`/cache/review/`: reported and doubtful pairs, and what people say of them."""

import re
from collections.abc import Callable
from datetime import timedelta
from uuid import uuid4

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django import DjangoCaptureOnCommitCallbacks

from aiinfra.tenants.models import Organization
from aiinfra.tenants.scope import organization_scope
from cache_app.models import CacheHit, JudgedBy, JudgedPair, Judgement, Layer
from cache_app.reviewing import screens
from cache_app.reviewing.words import TOKENS_MAX, compared
from cache_app.store import browse
from tests.cache_app.learning.made import make_entry, make_hit
from tests.cache_app.pages.support import HTMX, audited, queries_of, spaced, toast_of

URL = "/cache/review/"
REPORTED = {"judgement": Judgement.WRONG, "judged_by": JudgedBy.REPORT}
DOUBTFUL = {"judgement": Judgement.DOUBTFUL, "judged_by": JudgedBy.REASK, "fresh_answer": "In the second table."}


def shown(client: Client, **query: str) -> list[str]:
    """The questions on the page, from the top."""
    return [pair.hit.question for pair in client.get(URL, query).context["pairs"]]


def judge(client: Client, hit: CacheHit, judgement: str) -> int:
    return client.post(reverse("cache_judgement", args=[hit.pk]), {"judgement": judgement}).status_code


def judgement_of(hit: CacheHit) -> tuple[str, str]:
    with organization_scope(hit.organization_id):
        found = CacheHit.objects.get(pk=hit.pk)
    return found.judgement, found.judged_by


def pairs_in(organization: Organization) -> list[bool]:
    with organization_scope(organization.pk):
        return list(JudgedPair.objects.values_list("is_right", flat=True))


# The list


def test_without_pairs_there_is_nothing_to_decide(browser: Client) -> None:
    page = browser.get(URL).text
    assert "Nothing to decide" in page
    assert f'href="{URL}?show=unjudged"' in page
    assert "Every pair is judged" in browser.get(URL, {"show": "unjudged"}).text


def test_reported_and_doubtful_pairs_wait_for_a_decision(organization: Organization, browser: Client) -> None:
    make_hit(organization, "reported", **REPORTED)
    make_hit(organization, "doubtful", **DOUBTFUL)
    make_hit(organization, "unjudged")
    make_hit(organization, "equal", layer=Layer.EXACT)
    make_hit(organization, "decided", judgement=Judgement.WRONG, judged_by=JudgedBy.REVIEW)
    assert shown(browser) == ["doubtful", "reported"]
    assert shown(browser, show="reported") == ["reported"]
    assert shown(browser, show="doubtful") == ["doubtful"]
    assert shown(browser, show="unjudged") == ["unjudged"]
    assert shown(browser, show="\0nonsense") == ["doubtful", "reported"]
    assert [count for _, _, count in browser.get(URL).context["kinds"]] == [2, 1, 1, 1]


def test_pairs_of_another_organization_and_old_ones_are_not_shown(
    organization: Organization, other_organization: Organization, browser: Client
) -> None:
    make_hit(other_organization, "theirs", **REPORTED)
    make_hit(organization, "old", at=timezone.now() - timedelta(days=31), **REPORTED)
    response = browser.get(URL)
    assert list(response.context["pairs"]) == []
    assert "Nothing to decide" in response.text


def test_a_pair_stands_side_by_side_with_the_differing_words_marked(
    organization: Organization, browser: Client
) -> None:
    make_hit(
        organization,
        "How are scope 2 emissions reported?",
        cached_question="How are scope 1 emissions reported?",
        **DOUBTFUL,
    )
    page = browser.get(URL).text
    mark = '<mark class="cache-differs">{}</mark>'
    assert f"How are scope {mark.format(2)} emissions reported?" in page
    assert f"How are scope {mark.format(1)} emissions reported?" in page
    assert f"In the {mark.format('first')} table." in page
    assert f"In the {mark.format('second')} table." in page


def test_what_was_asked_is_text_and_no_html(organization: Organization, browser: Client) -> None:
    make_hit(organization, "<script>alert(1)</script>", answer="<img src=x>", **REPORTED)
    page = browser.get(URL).text
    assert "<script>alert" not in page
    assert "<img src=x>" not in page


def test_texts_that_were_cleaned_up_are_said_to_be(organization: Organization, browser: Client) -> None:
    make_hit(organization, "", cached_question="", answer="", **REPORTED)
    assert "The texts have been cleaned up." in browser.get(URL).text


def test_who_may_not_read_prompts_sees_pairs_without_texts_and_buttons(
    organization: Organization, reader: Client
) -> None:
    make_hit(organization, "a secret question", **DOUBTFUL)
    page = reader.get(URL).text
    assert "Similarity 0.910" in page
    assert "Your role does not open prompts and answers." in page
    assert 'name="judgement"' not in page
    for secret in ("a secret question", "In the first table.", "In the second table."):
        assert secret not in page


def test_older_pairs_are_on_the_next_page_and_the_kind_stays(
    organization: Organization, browser: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(screens, "PAGE_SIZE", 2)
    at = timezone.now()
    for name in ("first", "second", "third"):
        make_hit(organization, name, at=at, **REPORTED)
    seen = shown(browser, show="reported")
    link = re.search(r'href="(\?[^"]*cursor=[^"]+)"', browser.get(URL, {"show": "reported"}).text)
    assert link is not None
    second = browser.get(URL + link[1].replace("&amp;", "&"))
    seen += [pair.hit.question for pair in second.context["pairs"]]
    assert sorted(seen) == ["first", "second", "third"]
    assert second.context["kind"] == "reported"
    assert 'href="?show=reported"' in second.text


def test_a_cursor_that_makes_no_sense_shows_the_first_page(organization: Organization, browser: Client) -> None:
    make_hit(organization, "reported", **REPORTED)
    for cursor in ("nonsense", "\0", "MjAyNi0wMS0wMQ", "OTk5OS0xMi0zMVQyMzo1OTo1OS0yMzowMHww"):
        assert shown(browser, cursor=cursor) == ["reported"], cursor


def test_more_pairs_cost_no_more_queries(organization: Organization, browser: Client) -> None:
    make_hit(organization, **REPORTED)
    few = queries_of(browser, URL)
    for number in range(9):
        make_hit(organization, f"question {number}", **REPORTED)
    assert queries_of(browser, URL) == few


def test_the_list_does_not_need_redis(
    organization: Organization, browser: Client, redis_away: Callable[[], None]
) -> None:
    make_hit(organization, "reported", **REPORTED)
    redis_away()
    assert shown(browser) == ["reported"]


# What people say


def test_a_wrong_answer_is_blocked_written_down_and_audited(
    organization: Organization, browser: Client, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
) -> None:
    make_entry(organization)
    hit = make_hit(organization)
    with django_capture_on_commit_callbacks(execute=True):
        assert judge(browser, hit, "wrong") == 302
    assert judgement_of(hit) == ("wrong", "review")
    assert pairs_in(organization) == [False]
    entry = browse.entry(organization.pk, hit.entry_id)
    assert entry is not None
    assert len(entry.blocked) == 1
    ((actor, verb, target),) = audited(organization)
    assert (actor, verb) == ("user:operator", "cache_hit.judged")
    assert str(hit.pk) in target


def test_right_after_a_report_takes_the_pair_off_the_list(organization: Organization, browser: Client) -> None:
    hit = make_hit(organization, "reported", **REPORTED)
    judge(browser, hit, "right")
    assert judgement_of(hit) == ("right", "review")
    assert shown(browser) == []


def test_htmx_gets_the_judged_pair_alone(organization: Organization, browser: Client) -> None:
    hit = make_hit(organization, **REPORTED)
    url = reverse("cache_judgement", args=[hit.pk]) + "?show=reported"
    response = browser.post(url, {"judgement": "right"}, headers=HTMX)
    assert toast_of(response) == {"level": "success", "text": "Judged right."}
    assert "<html" not in response.text
    assert f'id="pair-{hit.pk}"' in response.text
    assert "Judged right." in spaced(response.text)
    without = browser.post(url, {"judgement": "wrong"})
    assert (without.status_code, without.headers["Location"]) == (302, f"{URL}?show=reported")


def test_a_judgement_holds_without_redis_too(
    organization: Organization, browser: Client, redis_away: Callable[[], None]
) -> None:
    hit = make_hit(organization)
    redis_away()
    assert judge(browser, hit, "wrong") == 302
    assert (judgement_of(hit), pairs_in(organization)) == (("wrong", "review"), [False])


@pytest.mark.parametrize("said", ["", "doubtful", "\0", "WRONG"])
def test_anything_but_right_and_wrong_changes_nothing(said: str, organization: Organization, browser: Client) -> None:
    hit = make_hit(organization)
    assert judge(browser, hit, said) == 422
    assert (judgement_of(hit), pairs_in(organization), audited(organization)) == (("", ""), [], [])


def test_only_who_may_write_judges(
    organization: Organization, browser: Client, reader: Client, outsider: Client, client: Client
) -> None:
    hit = make_hit(organization)
    assert judge(client, hit, "wrong") == 302
    assert judge(reader, hit, "wrong") == 403
    assert judge(outsider, hit, "wrong") == 404
    assert browser.get(reverse("cache_judgement", args=[hit.pk])).status_code == 405
    assert browser.post(reverse("cache_judgement", args=[uuid4()]), {"judgement": "right"}).status_code == 404
    assert judgement_of(hit) == ("", "")


def test_the_page_needs_a_log_in_and_is_only_read(client: Client, browser: Client) -> None:
    assert client.get(URL).headers["Location"] == f"/login/?next={URL}"
    assert browser.post(URL).status_code == 405


# The words


def marked(one: str, other: str) -> tuple[list[str], list[str]]:
    left, right = compared(one, other)
    assert ("".join(piece.text for piece in left), "".join(piece.text for piece in right)) == (one, other)
    return [piece.text for piece in left if piece.differs], [piece.text for piece in right if piece.differs]


def test_words_that_differ_are_marked_without_the_blanks_around_them() -> None:
    assert marked("Cancel it today", "Cancel it") == (["today"], [])
    assert marked("How do I pay?", "How can I ever pay?") == (["do"], ["can", "ever"])


def test_case_and_blanks_are_no_difference() -> None:
    assert marked("What is\n a Queue?", "what is a queue?") == ([], [])
    assert marked("", "") == ([], [])


def test_texts_that_are_too_long_to_compare_are_not_marked() -> None:
    assert marked("word " * TOKENS_MAX, "other") == ([], [])
