"""`/cache/`: statistics, charts, and the proposed threshold."""

from collections.abc import Callable
from typing import Any

import plotly.graph_objects as go
import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from aiinfra.tenants.models import Organization
from aiinfra.tenants.scope import organization_scope
from cache_app.embedding.vector_cache import EmbedderState
from cache_app.metrics import stats
from cache_app.metrics.figures import CHARTS
from cache_app.metrics.ranges import DayRange
from cache_app.models import CacheMode, JudgedBy, Judgement
from cache_app.policy import change_policy
from tests.cache_app.learning.made import make_entry, make_hit
from tests.cache_app.pages.support import (
    HTMX,
    counted,
    make_proposal,
    queries_of,
    spaced,
)

URL = "/cache/"
by_chart = pytest.mark.parametrize("name", list(CHARTS))


def figure_of(client: Client, name: str, **query: str) -> Any:
    response = client.get(reverse("cache_figure", args=[name]), query)
    assert response.status_code == 200
    go.Figure(response.json())
    return response.json()


def set_policy(organization: Organization, **changes: object) -> None:
    with organization_scope(organization.pk):
        change_policy(organization_id=organization.pk, changes=changes, actor="command:test")


# The page


def test_the_empty_page_explains_how_to_start(reader: Client) -> None:
    page = reader.get(URL).text
    assert "Send the same request twice" in page
    assert "/api/ai/chat" in page
    assert "What another threshold would have done" not in page


def test_the_tiles_show_hits_savings_and_wrong_answers(organization: Organization, reader: Client) -> None:
    counted(organization)
    make_entry(organization)
    make_hit(organization, judgement=Judgement.WRONG, judged_by=JudgedBy.REPORT)
    make_hit(organization, judgement=Judgement.WRONG, judged_by=JudgedBy.REASK, reasked_at=timezone.now())
    page = spaced(reader.get(URL).text)
    for shown in (
        "31.0<small>%</small>",
        "of 1,000 lookups",
        "200 exact, 100 semantic, 10 shared",
        "$12.34",
        '<p class="tile-label">Entries now</p> <p class="tile-value">1</p>',
        '<p class="tile-label">Reported wrong</p> <p class="tile-value">1</p>',
        '<p class="tile-label">Near misses</p> <p class="tile-value">40</p>',
        "by 1 judged",
        "0.910",
        "of semantic hits, 0.85 or higher",
    ):
        assert shown in page
    assert "Send the same request twice" not in page


def test_only_the_selected_range_is_counted(organization: Organization, reader: Client) -> None:
    counted(organization, {"look": 4, "hit:exact": 1}, days_ago=3)
    counted(organization, {"look": 6, "hit:exact": 1}, days_ago=20)
    assert "of 4 lookups" in reader.get(URL, {"range": "7d"}).text
    assert "of 10 lookups" in reader.get(URL, {"range": "90d"}).text
    assert "of 10 lookups" in reader.get(URL, {"range": "\0nonsense"}).text


def test_other_organizations_figures_are_not_shown(
    other_organization: Organization, organization: Organization, reader: Client
) -> None:
    counted(other_organization)
    make_proposal(other_organization)
    page = reader.get(URL).text
    assert "Send the same request twice" in page
    assert "Proposed threshold" not in page


def test_anonymous_users_are_sent_to_the_login_page(client: Client) -> None:
    response = client.get(URL)
    assert (response.status_code, response.headers["Location"]) == (302, f"/login/?next={URL}")


def test_the_page_only_accepts_get(reader: Client) -> None:
    assert reader.post(URL).status_code == 405
    assert reader.post(reverse("cache_figure", args=["outcomes"])).status_code == 405


def test_without_redis_the_page_shows_an_error_and_the_counts(
    organization: Organization, reader: Client, redis_away: Callable[[], None]
) -> None:
    counted(organization)
    redis_away()
    page = spaced(reader.get(URL).text)
    assert "Redis is not responding" in page
    assert "unknown until Redis responds" in page
    assert "of 1,000 lookups" in page


def test_htmx_gets_only_changed_regions(organization: Organization, reader: Client) -> None:
    counted(organization)
    make_proposal(organization)
    part = reader.get(URL, headers=HTMX)
    assert "<html" not in part.text
    assert "data-figure-url" not in part.text
    assert "Proposed threshold" not in part.text
    assert "of 1,000 lookups" in part.text
    assert "HX-Request" in part.headers["Vary"]
    again = reader.get(URL, headers={**HTMX, "If-None-Match": part.headers["ETag"]})
    assert again.status_code == 304
    assert 'data-live="5"' in reader.get(URL).text


@pytest.mark.parametrize(
    ("mode", "said"),
    [
        (CacheMode.EXACT, "Only exact matches"),
        (CacheMode.SHADOW, "Shadow mode"),
        (CacheMode.OFF, "The cache is off"),
    ],
)
def test_a_restricted_mode_is_shown(mode: CacheMode, said: str, organization: Organization, reader: Client) -> None:
    assert said not in reader.get(URL).text
    set_policy(organization, mode=mode)
    assert said in reader.get(URL).text


def test_an_unavailable_embedder_is_shown(reader: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    state = EmbedderState(id="minilm-l6-v2-int8/1", working=False, failures=3, probe_in_s=20)
    monkeypatch.setattr(stats, "embedder_state", lambda: state)
    page = spaced(reader.get(URL).text)
    assert "The embedder is unavailable" in page
    assert "minilm-l6-v2-int8/1 failed 3 times in a row" in page


def test_the_number_of_queries_does_not_depend_on_the_number_of_days_and_hits(
    organization: Organization, reader: Client
) -> None:
    counted(organization)
    make_hit(organization)
    few = queries_of(reader, URL)
    for days_ago in range(2, 11):
        counted(organization, days_ago=days_ago)
        make_hit(organization, asked=f"question {days_ago}")
    assert queries_of(reader, URL) == few


# Other thresholds


def test_other_thresholds_show_added_and_lost_hits(organization: Organization, reader: Client) -> None:
    counted(organization)
    rows = {row.percent: row for row in reader.get(URL).context["what_if"]}
    assert [(row.served, row.more, row.fewer) for row in (rows[80], rows[85], rows[90])] == [
        (140, 40, 0),
        (100, 0, 0),
        (40, 0, 60),
    ]
    assert [row.percent for row in rows.values() if row.is_present] == [85]
    assert "up to 140" in spaced(reader.get(URL).text)


def test_the_current_threshold_is_the_organization_s_setting(organization: Organization, reader: Client) -> None:
    counted(organization)
    set_policy(organization, threshold=0.87)
    context = reader.get(URL).context
    assert [row.percent for row in context["what_if"] if row.is_present] == [87]
    assert figure_of(reader, "similarity")["layout"]["annotations"][0]["text"] == "threshold 0.87"


# The charts


def test_each_similarity_bar_covers_the_range_it_counts(organization: Organization, reader: Client) -> None:
    counted(organization)
    figure = figure_of(reader, "similarity")
    first, last = figure["layout"]["xaxis"]["range"]
    for bars in figure["data"]:
        left = [x + bars["offset"] for x in bars["x"]]
        assert (left[0], left[-1] + bars["width"]) == pytest.approx((first, last))
    assert figure["layout"]["shapes"][0]["x0"] == pytest.approx(0.85)


@by_chart
def test_a_chart_without_figures_is_empty(name: str, reader: Client) -> None:
    assert figure_of(reader, name)["data"] == []
    table = reader.get(reverse("cache_figure_table", args=[name]), headers=HTMX)
    assert "Nothing in this range" in table.text


@by_chart
def test_a_chart_table_is_a_partial_or_a_page(name: str, organization: Organization, reader: Client) -> None:
    counted(organization)
    assert figure_of(reader, name)["data"]
    url = reverse("cache_figure_table", args=[name])
    part, page = reader.get(url, headers=HTMX), reader.get(url)
    assert "<html" not in part.text
    assert "<html" in page.text
    for text in (part.text, page.text):
        assert "<tbody>" in text


@by_chart
def test_a_chart_shows_only_the_own_organization(
    name: str, organization: Organization, reader: Client, outsider: Client
) -> None:
    counted(organization)
    assert figure_of(outsider, name)["data"] == []


@by_chart
def test_a_chart_requires_login(name: str, client: Client) -> None:
    for address in ("cache_figure", "cache_figure_table"):
        assert client.get(reverse(address, args=[name])).status_code == 302


def test_an_unknown_chart_is_not_found(reader: Client) -> None:
    for address in ("cache_figure", "cache_figure_table"):
        assert reader.get(reverse(address, args=["nonsense"])).status_code == 404


def test_a_days_lookups_equal_hits_plus_misses(organization: Organization, reader: Client) -> None:
    counted(organization)
    by_name = {trace["name"]: sum(trace["y"]) for trace in figure_of(reader, "outcomes")["data"]}
    assert by_name == {"exact": 200, "semantic": 100, "shared call": 10, "miss": 690}


def test_days_are_in_the_organization_s_time_zone(organization: Organization, reader: Client) -> None:
    Organization.objects.filter(pk=organization.pk).update(time_zone="Pacific/Kiritimati")
    organization.refresh_from_db()
    counted(organization, {"look": 7})
    with timezone.override("Pacific/Kiritimati"):
        dates = [day.isoformat() for day in DayRange("7d").dates()]
    (misses,) = [each for each in figure_of(reader, "outcomes", range="7d")["data"] if each["name"] == "miss"]
    assert misses["x"] == dates
    assert misses["y"] == [0, 0, 0, 0, 0, 7, 0]


def test_reasons_are_described_by_frequency(organization: Organization, reader: Client) -> None:
    counted(organization)
    table = spaced(reader.get(reverse("cache_figure_table", args=["refusals"])).text)
    found = [table.index(words) for words in ("Not similar enough", "Numbers differ", "Too short: never compared")]
    assert found == sorted(found)
