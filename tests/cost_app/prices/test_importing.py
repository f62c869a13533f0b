"""Imports from a price source: which prices are added, which are proposed, and which never change."""

from datetime import UTC, datetime, timedelta
from io import StringIO

import pytest
from django.core.management import call_command
from django.utils import timezone

from cost_app.models import ModelAlias, ModelPrice, PriceProposal
from cost_app.prices import importing
from cost_app.prices.importing import PriceDifference, PriceVerdict, compare, import_once, import_prices
from cost_app.prices.lookup import price_of
from cost_app.prices.proposals import approve, reject
from cost_app.prices.shipped import EFFECTIVE_FROM
from cost_app.prices.source import SourcePrice, read_snapshots, read_source
from cost_app.prices.terms import PriceTerms

ACTOR = "command:test"


def priced(output: int, *, since: datetime = EFFECTIVE_FROM, **columns: object) -> SourcePrice:
    defaults = {"provider": "local", "model": "m", "input": 1, "cache_read": 1, "cache_write": 1, "source": "a list"}
    return SourcePrice(PriceTerms(output=output, **{**defaults, **columns}), since)  # type: ignore[arg-type]


class Source:
    """A price source with the prices that the test sets."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.prices: list[SourcePrice] = []
        self.by_hand: list[tuple[str, str]] = []
        monkeypatch.setattr(importing, "read_source", lambda: (self.prices, self.by_hand))


@pytest.fixture
def source(monkeypatch: pytest.MonkeyPatch) -> Source:
    return Source(monkeypatch)


@pytest.fixture
def known(db: None) -> ModelPrice:
    """A model that the price book contains."""
    terms = priced(10).terms
    return ModelPrice.objects.create(**terms.columns, effective_from=EFFECTIVE_FROM)


def verdicts(table: list[PriceDifference]) -> list[PriceVerdict]:
    return [line.verdict for line in table]


@pytest.mark.usefixtures("source")
def test_snapshots_of_priced_models_are_proposed_as_aliases(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    snapshots = [
        ("openai", "gpt-4-2026-01-01", "gpt-4"),
        ("openai", "gpt-4-0613", "gpt-4"),
        ("openai", "gpt-3.5-turbo", "gpt-4"),
        ("openai", "none-0101", "none"),
    ]
    monkeypatch.setattr(importing, "read_snapshots", lambda: snapshots)
    new = ModelAlias.objects.filter(state="waiting")
    for _ in range(2):
        import_prices(actor=ACTOR)
        assert list(new.values_list("alias", "model")) == [("gpt-4-2026-01-01", "gpt-4")]
    new.update(state="rejected")
    import_prices(actor=ACTOR)
    assert not new.exists()


def test_package_contains_snapshots_of_its_models() -> None:
    found = set(read_snapshots())
    assert ("openai", "gpt-4o-2024-08-06", "gpt-4o") in found
    assert all(name.startswith(model) and name != model for _, name, model in found)


def test_new_model_is_proposed_unless_new_models_are_approved(source: Source) -> None:
    source.prices = [priced(5), priced(2, tier="batch")]
    assert verdicts(import_prices(actor=ACTOR)) == [PriceVerdict.NEW, PriceVerdict.NEW]
    assert not ModelPrice.objects.filter(model="m").exists()
    assert PriceProposal.objects.count() == 2
    import_prices(actor=ACTOR, approve_new=True)
    assert set(ModelPrice.objects.filter(model="m").values_list("tier", "output", "added_by")) == {
        ("standard", 5, ACTOR),
        ("batch", 2, ACTOR),
    }
    assert not PriceProposal.objects.exists()


def test_a_new_model_is_imported_with_its_history(source: Source) -> None:
    june = datetime(2025, 6, 10, tzinfo=UTC)
    source.prices = [priced(40), priced(8, since=june)]
    import_prices(actor=ACTOR, approve_new=True)
    versions = ModelPrice.objects.filter(model="m").order_by("effective_from")
    assert [(row.output, row.effective_from, row.effective_to) for row in versions] == [
        (40, EFFECTIVE_FROM, june),
        (8, june, None),
    ]


def test_different_price_is_proposed_and_overwrites_nothing(source: Source, known: ModelPrice) -> None:
    source.prices = [priced(11)]
    for _ in range(2):
        assert verdicts(import_prices(actor=ACTOR, approve_new=True)) == [PriceVerdict.DIFFERS]
    proposal = PriceProposal.objects.get()
    assert (proposal.output, proposal.replaces) == (11, known)
    assert timezone.now() - proposal.effective_from < timedelta(minutes=1)
    assert list(ModelPrice.objects.filter(model="m")) == [known]


def test_dated_change_is_proposed_from_its_date(source: Source, known: ModelPrice) -> None:
    october = datetime(2026, 10, 1, tzinfo=UTC)
    source.prices = [priced(10), priced(11, since=october)]
    import_prices(actor=ACTOR)
    assert PriceProposal.objects.get().effective_from == october


def test_announced_price_is_proposed_before_it_applies(source: Source, known: ModelPrice) -> None:
    soon = timezone.now() + timedelta(days=20)
    source.prices = [priced(10), priced(11, since=soon)]
    assert verdicts(import_prices(actor=ACTOR)) == [PriceVerdict.DIFFERS]
    approve(proposal=PriceProposal.objects.get(), actor=ACTOR)
    assert verdicts(import_prices(actor=ACTOR)) == [PriceVerdict.SAME]


def test_another_tier_of_a_known_model_is_proposed(source: Source, known: ModelPrice) -> None:
    source.prices = [priced(10), priced(5, tier="flex")]
    assert verdicts(import_prices(actor=ACTOR, approve_new=True)) == [PriceVerdict.NEW, PriceVerdict.SAME]
    assert PriceProposal.objects.get().tier == "flex"
    assert list(ModelPrice.objects.filter(model="m")) == [known]


def test_open_proposal_follows_the_source_and_is_withdrawn_if_prices_match(source: Source, known: ModelPrice) -> None:
    for output, waiting in ((11, [11]), (12, [12]), (10, [])):
        source.prices = [priced(output)]
        import_prices(actor=ACTOR)
        assert list(PriceProposal.objects.values_list("output", flat=True)) == waiting


def test_rejected_price_is_not_proposed_again_but_another_price_is(source: Source, known: ModelPrice) -> None:
    source.prices = [priced(11)]
    import_prices(actor=ACTOR)
    reject(proposal=PriceProposal.objects.get(), actor="user:staff")
    assert verdicts(import_prices(actor=ACTOR)) == [PriceVerdict.REJECTED]
    source.prices = [priced(12)]
    assert verdicts(import_prices(actor=ACTOR)) == [PriceVerdict.DIFFERS]
    assert PriceProposal.objects.filter(state="waiting").count() == 1


def test_model_with_price_windows_is_maintained_by_hand(source: Source, known: ModelPrice) -> None:
    hours = [{"weekdays": [0], "from": "01:00", "to": "02:00"}]
    peak = priced(20, window_name="peak", window=hours).terms
    ModelPrice.objects.create(**peak.columns, effective_from=EFFECTIVE_FROM)
    source.prices, source.by_hand = [priced(11)], [("local", "other")]
    assert verdicts(import_prices(actor=ACTOR, approve_new=True)) == [PriceVerdict.BY_HAND, PriceVerdict.BY_HAND]
    assert not PriceProposal.objects.exists()


def test_comparing_writes_nothing(source: Source, known: ModelPrice) -> None:
    source.prices = [priced(11), priced(1, model="unknown")]
    assert verdicts(compare()) == [PriceVerdict.DIFFERS, PriceVerdict.NEW]
    assert not PriceProposal.objects.exists()
    assert list(ModelPrice.objects.filter(provider="local")) == [known]


# The package itself


def test_package_is_imported_once_per_release() -> None:
    assert import_once()
    count = ModelPrice.objects.count()
    assert not import_once()
    assert ModelPrice.objects.count() == count


def test_differences_from_shipped_prices_are_proposed_after_the_first_start() -> None:
    import_once()
    waiting = PriceProposal.objects.order_by("model", "tier").values_list("model", "tier", "input")
    assert list(waiting) == [
        ("claude-haiku-4-5", "batch", 500_000_000),
        ("gpt-3.5-turbo", "batch", 250_000_000),
        ("gpt-4", "batch", 15_000_000_000),
        ("gpt-4", "standard", 30_000_000_000),
    ]


def test_only_text_models_with_exact_names_are_read() -> None:
    prices, by_hand = read_source()
    names = {price.terms.model for price in prices}
    assert {"gpt-4o", "o3", "claude-opus-4-5"} <= names
    assert not [
        name for name in names if "image" in name or "audio" in name or "realtime" in name or "embedding" in name
    ]
    assert not [name for name in names if name.startswith("ft:") or name.endswith("-")]
    assert ("deepseek", "deepseek-v4-pro") in by_hand
    for price in prices:
        price.terms.check()


def test_a_tier_has_no_price_before_its_introduction() -> None:
    import_once()
    offered = datetime(2026, 10, 14, tzinfo=UTC)
    assert price_of("openai", "gpt-4o", tier="batch", at=offered).input == 1_250_000_000
    assert price_of("openai", "gpt-4o", tier="batch", at=offered - timedelta(seconds=1)).tier == "standard"


def test_command_prints_table_and_counts() -> None:
    out = StringIO()
    call_command("import_prices", "--dry-run", stdout=out)
    assert "differs          openai/gpt-4 ours 10.00/10.00/10.00/30.00 theirs 30.00/30.00/30.00/60.00" in out.getvalue()
    assert "claude-haiku-5-5 theirs 0.10/0.01/0.125/0.50, above 100000 tokens 0.50/" in out.getvalue()
    assert "openai/gpt-3.5-turbo ours" not in out.getvalue()
    assert " 1 differs, 5 kept by hand, 0 rejected before, " in out.getvalue()
    assert not PriceProposal.objects.exists()
    assert not ModelAlias.objects.filter(state="waiting").exists()
    call_command("import_prices", "--approve-new", "--all", stdout=out)
    assert "same             openai/gpt-3.5-turbo ours" in out.getvalue()
    waiting = ModelAlias.objects.filter(state="waiting")
    assert waiting
    for row in waiting:
        assert f"alias            {row.provider}/{row.alias} at the price of {row.model}\n" in out.getvalue()
    assert f", {len(waiting)} aliases to decide.\n" in out.getvalue()
    assert ModelPrice.objects.get(model="gpt-4o", tier="standard").added_by == "command:import_prices"
