"""`/prices/`: the price book, the history of a model, and proposals."""

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from aiinfra.tenants.models import User
from cost_app.models import ModelPrice, PriceProposal
from cost_app.prices.terms import PriceTerms
from tests.cost_app.prices.conftest import FIELDS

HTMX = {"HX-Request": "true"}
STEP = {"input": 7 * 10**9, "cache_read": 0, "cache_write": 0, "cache_write_1h": None, "output": 7 * 10**9}
LONG = {"long_prompts": [{"above": 32_000, **STEP}, {"above": 200_000, **STEP}]}


@pytest.fixture
def reader(viewer: User, client_of: Callable[[User], Client]) -> Client:
    return client_of(viewer)


def terms(output: int = 1, **columns: Any) -> PriceTerms:
    defaults = {"provider": "local", "model": "m", "input": 1, "cache_read": 1, "cache_write": 1, "source": "a test"}
    return PriceTerms(output=output, **{**defaults, **columns})


def version(dollars: int, days: float = -1, **columns: Any) -> ModelPrice:
    begin = timezone.now() + timedelta(days=days)
    return ModelPrice.objects.create(**terms(dollars * 10**9, **columns).columns, effective_from=begin)


def proposal(dollars: int, **columns: Any) -> PriceProposal:
    row = PriceProposal(**terms(dollars * 10**9).columns, effective_from=timezone.now() - timedelta(hours=1))
    for name, value in columns.items():
        setattr(row, name, value)
    row.save()
    return row


# Price book


def test_members_see_current_prices_with_tiers_and_hours(reader: Client) -> None:
    version(98, -20)
    version(99, -2, **LONG)
    version(5, -2, tier="batch")
    page = reader.get(reverse("prices")).text
    assert "$0.14" in page
    assert "deepseek-v4-pro" in page
    assert "Mon to Fri 01:00-04:00 and 06:00-10:00 UTC" in page
    assert "above 200,000 tokens" in page
    assert "$99.00" in page
    assert "$7.00" in page
    assert "$98.00" not in page
    assert "New version" not in page
    assert "Repricing" not in page


def test_prices_are_exact_on_every_page(reader: Client) -> None:
    """Half of $6.25 is $3.125, which must not be rounded."""
    columns = terms().columns | {"output": 3_125_000_000}
    ModelPrice.objects.create(**columns, effective_from=timezone.now() - timedelta(days=1))
    PriceProposal.objects.create(**columns | {"model": "n"}, effective_from=timezone.now())
    pages = [reverse("prices"), reverse("price_history", args=["local/m"]), reverse("price_proposals")]
    for page in pages:
        text = reader.get(page).text
        assert "$3.125" in text and "$3.13" not in text, page


def test_provider_names_are_spelled_correctly(reader: Client) -> None:
    version(1)
    page = reader.get(reverse("prices")).text
    heads = re.findall(r'<h2 id="provider-.*?">(.*?)</h2>', page)
    assert "DeepSeek" in page and "Deepseek" not in page and "Openai" not in page
    assert heads == sorted(heads, key=str.lower)


def test_current_hours_are_marked(reader: Client) -> None:
    always = [{"weekdays": [0, 1, 2, 3, 4, 5, 6], "from": "00:00", "to": "24:00"}]
    never = [{"weekdays": [(timezone.now().weekday() + 3) % 7], "from": "00:00", "to": "24:00"}]
    version(1, window_name="always", window=always)
    version(2, window_name="never", window=never)
    assert reader.get(reverse("prices"), {"provider": "local"}).text.count(">now<") == 1


@pytest.mark.parametrize(
    ("filters", "shown", "hidden"),
    [
        ({"provider": "openai"}, "gpt-4", "deepseek-chat"),
        ({"text": "HAIKU"}, "claude-haiku-4-5", "gpt-4"),
        ({"tier": "batch"}, "only-in-batch", "gpt-4"),
        ({"tier": "nonsense", "text": "gpt"}, "gpt-4", "gpt-nothing"),
    ],
)
def test_price_book_can_be_filtered(reader: Client, filters: dict[str, str], shown: str, hidden: str) -> None:
    version(1, model="only-in-batch", tier="batch")
    page = reader.get(reverse("prices"), filters).text
    assert f">{shown}</a>" in page
    assert f">{hidden}</a>" not in page


def test_htmx_gets_only_the_tables(reader: Client) -> None:
    response = reader.get(reverse("prices"), headers=HTMX)
    assert response.text.lstrip().startswith('<div id="prices"')
    assert "HX-Request" in response.headers["Vary"]


def test_filters_without_a_match_can_be_cleared(reader: Client) -> None:
    page = reader.get(reverse("prices"), {"text": "no such model"}).text
    assert "No matching prices" in page
    assert "Clear the filters" in page


def test_empty_price_book_explains_how_to_import_prices(reader: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cost_app.prices.views.current_prices", lambda **_: [])
    assert "import_prices --approve-new" in reader.get(reverse("prices")).text


def test_query_count_does_not_grow_with_prices(reader: Client) -> None:
    addresses = [reverse("prices"), reverse("price_history", args=["local/m"]), reverse("price_proposals")]
    version(1)
    proposal(2)
    few = [queries(reader, address) for address in addresses]
    for number in range(9):
        version(1, -2 - number)
        version(1, model=f"m{number}", tier="flex")
        proposal(2, model=f"m{number}")
    assert [queries(reader, address) for address in addresses] == few


def queries(client: Client, address: str) -> int:
    with CaptureQueriesContext(connection) as captured:
        assert client.get(address).status_code == 200
    return len(captured)


# History of a model


def test_history_shows_all_versions_and_marks_the_current_one(reader: Client) -> None:
    version(1, -20)
    version(2, -10)
    version(3, +10)
    page = reader.get(reverse("price_history", args=["local/m"])).text
    states = ["status-announced", "status-active", "status-ended"]
    assert [page.count(state) for state in states] == [1, 1, 1]
    assert page.index("$3.00") < page.index("$2.00") < page.index("$1.00")


def test_model_name_can_contain_slashes(reader: Client) -> None:
    version(1, model="meta/llama:70b")
    address = reverse("price_history", args=["local/meta/llama:70b"])
    assert "meta/llama:70b" in reader.get(address).text
    assert address in reader.get(reverse("prices")).text


@pytest.mark.parametrize("name", ["local/unknown", "openai", "openai/"])
def test_an_unknown_model_is_not_found(reader: Client, name: str) -> None:
    assert reader.get(reverse("price_history", args=[name])).status_code == 404


# Proposals


def test_proposal_is_shown_next_to_the_price_it_replaces(reader: Client) -> None:
    proposal(8, replaces=version(6))
    page = reader.get(reverse("price_proposals")).text
    assert '<s class="faint small">$6.00</s>' in page
    assert "$8.00" in page
    assert "Approve" not in page
    assert '<span class="badge badge-warn">1</span>' in reader.get(reverse("prices")).text


def test_page_without_proposals_explains_their_source(reader: Client) -> None:
    page = reader.get(reverse("price_proposals")).text
    assert "No pending proposals" in page
    assert "import_prices" in page


def test_staff_can_approve_a_proposal(staff: Client) -> None:
    row = proposal(8)
    response = staff.post(reverse("price_approve", args=[row.pk]), follow=True)
    assert "Price added to the book" in response.text
    assert "approved" in response.text
    assert ModelPrice.objects.get(model="m").added_by == "user:owner"


def test_staff_can_reject_a_proposal(staff: Client) -> None:
    row = proposal(8)
    response = staff.post(reverse("price_reject", args=[row.pk]), headers=HTMX)
    assert response.text.lstrip().startswith('<div id="proposals"')
    assert "The book is unchanged" in response.headers["HX-Trigger"]
    assert "rejected" in response.text
    assert not ModelPrice.objects.filter(model="m").exists()


def test_second_decision_is_rejected(staff: Client) -> None:
    row = proposal(8, state="rejected", decided_at=timezone.now())
    response = staff.post(reverse("price_approve", args=[row.pk]), headers=HTMX)
    assert response.status_code == 422
    assert "price has already been decided" in response.headers["HX-Trigger"]
    assert "already" in staff.post(reverse("price_approve", args=[row.pk]), follow=True).text


def test_a_missing_proposal_is_not_found(staff: Client) -> None:
    assert staff.post(reverse("price_approve", args=[404])).status_code == 404


# Permissions


STAFF_ONLY = ["price_add", "price_repricing"]


@pytest.mark.parametrize("name", STAFF_ONLY)
def test_owner_who_is_not_staff_cannot_write(owner: User, client_of: Callable[[User], Client], name: str) -> None:
    client = client_of(owner)
    assert client.get(reverse(name)).status_code == 403
    row = proposal(8)
    for action in ("price_approve", "price_reject"):
        assert client.post(reverse(action, args=[row.pk])).status_code == 403
    assert client.post(reverse("price_add"), FIELDS).status_code == 403
    assert not ModelPrice.objects.filter(provider="local").exists()


def test_staff_without_an_organization_can_add_a_price(db: None, client_of: Callable[[User], Client]) -> None:
    client = client_of(User.objects.create_superuser("root"))
    page = client.post(reverse("price_add"), FIELDS, follow=True)
    assert (page.status_code, len(page.redirect_chain)) == (200, 1)
    without_right = User.objects.create_user("nobody", is_staff=True)
    assert client_of(without_right).get(reverse("price_add")).status_code == 403


def test_every_page_requires_login(client: Client) -> None:
    for name in ("prices", "price_proposals", "price_add", "price_repricing"):
        assert client.get(reverse(name)).status_code == 302


@pytest.mark.parametrize("name", ["price_approve", "price_reject"])
def test_writes_require_post(staff: Client, name: str) -> None:
    assert staff.get(reverse(name, args=[1])).status_code == 405


@pytest.mark.parametrize("name", ["prices", "price_proposals", "price_repricing"])
def test_reads_require_get(staff: Client, name: str) -> None:
    assert staff.post(reverse(name)).status_code == 405


def test_names_are_escaped(reader: Client) -> None:
    version(1, source="<script>alert(1)</script>", model="<b>m</b>")
    assert "<b>m" not in reader.get(reverse("prices")).text
    assert "<script>alert" not in reader.get(reverse("price_history", args=["local/<b>m</b>"])).text


# Django admin


@pytest.mark.parametrize("table", ["modelprice", "priceproposal", "repricing"])
def test_admin_shows_prices_read_only(admin_client: Client, table: str) -> None:
    assert admin_client.get(reverse(f"admin:cost_app_{table}_changelist")).status_code == 200
    assert admin_client.get(reverse(f"admin:cost_app_{table}_add")).status_code == 403


def test_long_price_book_is_paginated_and_keeps_the_filter(reader: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cost_app.prices.views.PAGE_SIZE", 2)
    for number in range(3):
        version(1, model=f"paged-{number}")
    first = reader.get(reverse("prices"), {"text": "paged"})
    assert "1\N{EN DASH}2 of 3" in first.text
    assert "?text=paged&amp;page=2" in first.text
    second = reader.get(reverse("prices"), {"text": "paged", "page": "2"})
    assert ">paged-2</a>" in second.text
    assert ">paged-0</a>" not in second.text
