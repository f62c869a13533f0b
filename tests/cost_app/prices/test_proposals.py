"""Adding price versions manually and from proposals."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from cost_app.models import ModelPrice, PriceProposal
from cost_app.prices import lookup as pricebook
from cost_app.prices.lookup import price_of
from cost_app.prices.proposals import AlreadyDecidedError, add_version, approve, reject
from cost_app.prices.shipped import PEAK
from cost_app.prices.terms import PriceError, PriceTerms

NOW = timezone.now().replace(microsecond=0)
STAFF = "user:staff"


def terms(output: int = 1, **columns: Any) -> PriceTerms:
    defaults = {"provider": "local", "model": "m", "input": 1, "cache_read": 1, "cache_write": 1, "source": "a test"}
    return PriceTerms(output=output, **{**defaults, **columns})


def added(output: int, days: float, **columns: Any) -> ModelPrice:
    return add_version(terms=terms(output, **columns), effective_from=NOW + timedelta(days=days), actor=STAFF)


def spans() -> list[tuple[int, float, float | None]]:
    """Output price, first day, and last day of each version."""
    day = timedelta(days=1)
    return [
        (row.output, (row.effective_from - NOW) / day, row.effective_to and (row.effective_to - NOW) / day)
        for row in ModelPrice.objects.filter(model="m").order_by("effective_from", "tier")
    ]


def test_new_version_ends_the_previous_one() -> None:
    added(1, -20)
    newest = added(2, -10)
    assert spans() == [(1, -20, -10), (2, -10, None)]
    assert newest.added_by == STAFF


def test_version_added_in_between_ends_where_the_next_starts() -> None:
    added(1, -20)
    added(3, -10)
    added(2, -15)
    assert spans() == [(1, -20, -10), (2, -15, -10), (3, -10, None)]
    pricebook.clear_price_cache()
    assert [price_of("local", "m", at=NOW - timedelta(days=days)).output for days in (18, 12, 5)] == [1, 2, 3]


def test_tiers_and_windows_have_separate_histories() -> None:
    added(1, -20)
    added(2, -10, tier="batch")
    added(3, -5, window_name="peak", window=PEAK)
    assert spans() == [(1, -20, None), (2, -10, None), (3, -5, None)]


def test_an_added_version_applies_immediately_in_this_process(django_capture_on_commit_callbacks: Any) -> None:
    added(1, -20)
    assert price_of("local", "m").output == 1
    with django_capture_on_commit_callbacks(execute=True):
        added(2, -1)
    assert price_of("local", "m").output == 2


def test_a_second_version_with_the_same_start_leaves_the_first_open() -> None:
    added(1, -20)
    added(2, -10)
    with pytest.raises(PriceError, match="already starts at this time"):
        added(3, -10)
    assert spans() == [(1, -20, -10), (2, -10, None)]


STEP = {"above": 5, "input": 1, "cache_read": 1, "cache_write": 1, "cache_write_1h": None, "output": 1}


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"provider": "Open AI"}, "provider"),
        ({"provider": ""}, "provider"),
        ({"model": "a b"}, "model"),
        ({"model": ""}, "model"),
        ({"model": "m" * 129}, "model"),
        ({"tier": "fast"}, "tier"),
        ({"source": ""}, "where you found the price"),
        ({"source": "s" * 201}, "where you found the price"),
        ({"input": -1}, r"\$0 to \$1,000,000"),
        ({"output": 10**16}, r"\$0 to \$1,000,000"),
        ({"cache_write_1h": -1}, r"\$0 to \$1,000,000"),
        ({"long_prompts": [{"above": 5}]}, "all"),
        ({"long_prompts": [{**STEP, "above": -1}]}, "non-negative"),
        ({"long_prompts": [{**STEP, "output": -1}]}, r"\$0 to \$1,000,000"),
        ({"long_prompts": [STEP, STEP]}, "each length once"),
        ({"long_prompts": [{**STEP, "above": above} for above in range(5)]}, "at most 4"),
        ({"window": [{"weekdays": [9]}], "window_name": "peak"}, "weekdays"),
        ({"window": PEAK}, "name"),
        ({"window_name": "peak"}, "hours"),
        ({"window": PEAK, "window_name": "p" * 33}, "32 characters"),
    ],
)
def test_an_invalid_price_is_refused(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(PriceError, match=message):
        added(**{"output": 1, "days": -1, **wrong})
    assert not ModelPrice.objects.filter(provider="local").exists()


def proposal_of(output: int, replaces: ModelPrice | None = None) -> PriceProposal:
    return PriceProposal.objects.create(
        **terms(output).columns, effective_from=NOW - timedelta(hours=1), replaces=replaces
    )


def test_approved_proposal_becomes_the_next_version() -> None:
    old = added(1, -20)
    proposal = proposal_of(2, old)
    version = approve(proposal=proposal, actor=STAFF)
    old.refresh_from_db()
    proposal.refresh_from_db()
    assert (version.output, version.added_by, version.source) == (2, STAFF, "a test")
    assert old.effective_to == version.effective_from == proposal.effective_from
    assert (proposal.state, proposal.decided_by) == ("approved", STAFF)
    assert proposal.decided_at is not None


def test_a_rejected_proposal_leaves_the_price_book_unchanged() -> None:
    old = added(1, -20)
    proposal = proposal_of(2, old)
    reject(proposal=proposal, actor=STAFF)
    proposal.refresh_from_db()
    assert proposal.state == "rejected"
    assert spans() == [(1, -20, None)]


def test_a_proposal_is_decided_once() -> None:
    proposal = proposal_of(2)
    stale = PriceProposal.objects.get(pk=proposal.pk)
    approve(proposal=proposal, actor=STAFF)
    for decide in (approve, reject):
        with pytest.raises(AlreadyDecidedError):
            decide(proposal=stale, actor=STAFF)
    assert len(spans()) == 1


def test_proposal_that_cannot_be_added_stays_open() -> None:
    proposal = proposal_of(2)
    ModelPrice.objects.create(**terms(3).columns, effective_from=proposal.effective_from)
    with pytest.raises(PriceError):
        approve(proposal=proposal, actor=STAFF)
    proposal.refresh_from_db()
    assert proposal.state == "waiting"
