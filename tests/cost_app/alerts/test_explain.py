"""The change in spending, split into price, volume, and mix effects without a remainder."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiinfra.tenants.models import Organization
from cost_app.alerts.baseline import baseline, is_spike
from cost_app.alerts.explain import Effects, explanation, split
from cost_app.budgets.scopes import Scope
from cost_app.models import UsageDay
from cost_app.spend.series import Totals
from tests.cost_app.alerts.conftest import NOW, USD

groups = st.dictionaries(
    st.sampled_from(["a", "b", "c"]),
    st.builds(Totals, nano=st.integers(0, 10**12), calls=st.integers(0, 10**6)),
)


@given(before=groups, now=groups)
def test_the_parts_add_up_to_the_change(before: dict[str, Totals], now: dict[str, Totals]) -> None:
    effects = split(before, now)
    change = sum(each.nano for each in now.values()) - sum(each.nano for each in before.values())
    assert effects.price + effects.volume + effects.mix == change


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        ({"a": Totals(nano=200, calls=20), "b": Totals(nano=2000, calls=20)}, Effects(0, 1100, 0)),
        ({"a": Totals(nano=300, calls=10), "b": Totals(nano=1000, calls=10)}, Effects(200, 0, 0)),
        ({"a": Totals(nano=50, calls=5), "b": Totals(nano=1500, calls=15)}, Effects(0, 0, 450)),
    ],
    ids=["twice as many calls", "more expensive calls", "moved to the more expensive model"],
)
def test_each_effect_is_calculated_separately(now: dict[str, Totals], expected: Effects) -> None:
    before = {"a": Totals(nano=100, calls=10), "b": Totals(nano=1000, calls=10)}
    assert split(before, now) == expected


def test_baseline_needs_three_values_and_tolerates_small_differences() -> None:
    assert baseline([1, 2]) is None
    usual_traffic = baseline([100, 100, 100, 100])
    assert usual_traffic is not None
    assert not is_spike(140, usual_traffic)
    assert is_spike(200, usual_traffic)


def test_tag_budget_alert_explains_only_that_tag(usual_traffic: None, scoped: Organization) -> None:
    today, yesterday = NOW.date(), NOW.date() - timedelta(days=1)
    for day, calls in ((yesterday, 10), (today, 30)):
        UsageDay.objects.create(
            organization=scoped, dimension="tag", value="research", day=day, nano=calls * USD, calls=calls
        )
    why = explanation(scoped.pk, today, today + timedelta(days=1), Scope("tag", ("research",)))
    assert (why["change"], why["volume"], why["price"], why["mix"]) == (20 * USD, 20 * USD, 0, 0)
    assert why["scope"] == "tag"
    assert [(each["name"], each["nano"]) for each in why["contributors"]] == [("research", 30 * USD)]
    of_all = explanation(scoped.pk, today, today + timedelta(days=1), Scope("organization", ("",)))
    assert "scope" not in of_all
    assert {each["dimension"] for each in of_all["contributors"]} == {"tag"}, "only tags changed"
