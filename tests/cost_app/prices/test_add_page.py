"""The page that adds a price version."""

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from cost_app.models import ModelPrice
from cost_app.prices.shipped import PEAK
from tests.cost_app.prices.conftest import FIELDS
from tests.cost_app.prices.test_pages import LONG, version


def test_staff_can_add_a_version(staff: Client) -> None:
    response = staff.post(reverse("price_add"), FIELDS, follow=True)
    assert response.redirect_chain == [(reverse("price_history", args=["local/m"]), 302)]
    row = ModelPrice.objects.get(provider="local")
    assert (row.input, row.cache_read, row.cache_write, row.output) == (
        140_000_000,
        140_000_000,
        140_000_000,
        280_000_000,
    )
    assert (row.added_by, row.window, row.long_prompts) == ("user:owner", [], [])
    assert "added by owner" in response.text


def test_version_can_have_hours_and_a_start_in_the_organization_s_time_zone(staff: Client) -> None:
    more = {
        "window_name": "peak",
        "weekdays": ["0", "1", "2", "3", "4"],
        "hours": "01:00-04:00, 06:00 - 10:00",
        "effective_from": "2026-10-01T02:00",
        "cache_read": "0",
        "cache_write_1h": "2",
        "long_1_above": "256000",
        "long_1_input": "3",
        "long_1_output": "4",
        "long_2_above": "32000",
        "long_2_input": "1",
        "long_2_output": "2",
        "long_2_cache_read": "0.5",
    }
    staff.post(reverse("price_add"), {**FIELDS, **more})
    row = ModelPrice.objects.get(provider="local")
    assert row.window == PEAK
    assert row.effective_from.isoformat() == "2026-10-01T00:00:00+00:00"
    assert (row.cache_read, row.cache_write_1h) == (0, 2 * 10**9)
    assert [(step["above"], step["output"]) for step in row.long_prompts] == [(32_000, 2 * 10**9), (256_000, 4 * 10**9)]
    assert row.long_prompts[0]["cache_read"] == 500_000_000


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"input": ""}, "required"),
        ({"input": "-1"}, "greater than or equal to 0"),
        ({"input": "NaN"}, "Enter a number"),
        ({"input": "0.0000000001"}, "decimal places"),
        ({"source": ""}, "required"),
        ({"model": "a b"}, "can&#x27;t contain spaces"),
        ({"tier": "fast"}, "Select a valid choice"),
        ({"hours": "01:00-04:00"}, "weekdays and hours must be given together"),
        ({"hours": "soon", "weekdays": ["0"], "window_name": "peak"}, "must be 00:00 to 24:00"),
        ({"hours": "01:00-04:00", "weekdays": ["0"]}, "need a name"),
        ({"hours": "01:00-04:00", "weekdays": ["9"]}, "Select a valid choice"),
        ({"long_1_input": "1"}, "require the length"),
        ({"long_1_above": "1"}, "prices for input and output"),
        ({"effective_from": "tomorrow"}, "valid date"),
    ],
)
def test_invalid_version_is_rejected_in_the_form(staff: Client, wrong: dict[str, Any], message: str) -> None:
    response = staff.post(reverse("price_add"), {**FIELDS, **wrong})
    assert response.status_code == 422
    assert message.lower() in response.text.lower()
    assert not ModelPrice.objects.filter(provider="local").exists()


def test_second_version_with_the_same_start_is_rejected_in_the_form(staff: Client) -> None:
    fields = {**FIELDS, "effective_from": "2026-10-01T02:00"}
    staff.post(reverse("price_add"), fields)
    response = staff.post(reverse("price_add"), fields)
    assert response.status_code == 422
    assert "already starts at this time" in response.text


def test_form_can_be_prefilled_from_another_version(staff: Client) -> None:
    row = version(3, window_name="peak", window=PEAK, **LONG)
    page = staff.get(reverse("price_add"), {"like": row.pk}).text
    assert 'value="01:00-04:00, 06:00-10:00"' in page
    assert page.count("checked") == 5
    for name, value in (("model", "m"), ("output", "3"), ("long_2_output", "7"), ("long_2_above", "200000")):
        assert f'name="{name}" value="{value}"' in page
    assert 'name="source" value' not in page


@pytest.mark.parametrize(("like", "status"), [("404", 404), ("x", 200), ("9" * 40, 200)])
def test_form_for_an_unknown_version_is_empty_or_not_found(staff: Client, like: str, status: int) -> None:
    assert staff.get(reverse("price_add"), {"like": like}).status_code == status
