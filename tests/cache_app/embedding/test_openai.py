"""The OpenAI embedder, with the real client against a running sandbox."""

import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from pytest_django.fixtures import Settings

from aiinfra.providers import breaker
from aiinfra.providers.base import TokenUsage
from aiinfra.tenants.models import Organization
from aiinfra.tenants.scope import organization_scope, system_scope
from cache_app.embedding import openai as module
from cache_app.embedding.base import EmbedderError, EmbedderRefusedError, Payer
from cache_app.embedding.openai import MODEL, PROVIDER, OpenAiEmbedder
from cost_app import create_cost_optimizer
from cost_app.models import (
    Attempt,
    AttemptState,
    Budget,
    BudgetWindow,
    CostPolicy,
    Hold,
    LedgerEntry,
    LedgerKind,
    ModelPrice,
)
from tests.providers.conftest import SandboxClient

EMBEDDER = OpenAiEmbedder()
TEXTS = [f"How many tonnes did site {number} emit?" for number in range(25)]
NANO_PER_TOKEN = 20  # $0.02 per million tokens

Budgets = Callable[..., Budget]


@pytest.fixture
def make_budget(payer: Payer) -> Budgets:
    """Creates a blocking daily budget for the payer; the arguments override its columns."""

    def make(**columns: object) -> Budget:
        defaults = {"organization_id": payer.organization_id, "period": "daily", "enforcement": "block"}
        return Budget.objects.create(**{**defaults, **columns})

    return make


def bills_of(sandbox: SandboxClient) -> list[dict[str, Any]]:
    return [row for attempt in Attempt.objects.order_by("created_at") for row in sandbox.bills(attempt.id)]


def windows() -> list[tuple[int, int]]:
    return list(BudgetWindow.objects.values_list("reserved_nano", "committed_nano"))


def only_attempt() -> Attempt:
    return Attempt.objects.get()


def test_each_text_gets_its_own_unit_vector_in_order(sandbox: SandboxClient, payer: Payer) -> None:
    vectors = EMBEDDER.embed(TEXTS, payer)
    assert all((vector.shape, vector.dtype) == ((EMBEDDER.dimensions,), np.float32) for vector in vectors)
    assert np.linalg.norm(np.stack(vectors), axis=1) == pytest.approx(np.ones(25), abs=1e-5)
    for index in (0, 9, 10, 24):
        (alone,) = EMBEDDER.embed([TEXTS[index]], payer)
        assert int(np.argmax(np.stack(vectors) @ alone)) == index


def test_texts_are_sent_in_batches_of_ten_and_booked_at_the_billed_cost(sandbox: SandboxClient, payer: Payer) -> None:
    EMBEDDER.embed(TEXTS, payer)
    bills = bills_of(sandbox)
    assert [(bill["provider"], bill["model"]) for bill in bills] == [(PROVIDER, MODEL)] * 3
    rows = list(LedgerEntry.objects.order_by("id"))
    assert [row.kind for row in rows] == [LedgerKind.USAGE] * 3
    tokens = [bill["usage"]["input"] for bill in bills]
    assert min(tokens) > 0 and tokens[2] < tokens[0]
    assert [(row.input_tokens, row.output_tokens, row.nano) for row in rows] == [
        (count, 0, count * NANO_PER_TOKEN) for count in tokens
    ]
    assert {(row.organization_id, row.user_ref, row.request_id) for row in rows} == {
        (payer.organization_id, "ann", None)
    }
    assert {attempt.state for attempt in Attempt.objects.all()} == {AttemptState.SETTLED}


def test_no_call_is_made_for_no_texts(sandbox: SandboxClient, payer: Payer) -> None:
    assert EMBEDDER.embed([], payer) == []
    assert not Attempt.objects.exists()


def test_the_maximum_cost_is_reserved_during_the_call_and_the_actual_cost_is_committed(
    sandbox: SandboxClient, payer: Payer, make_budget: Budgets, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_budget(limit_nano=10**9)
    during: list[tuple[int, int]] = []
    states: list[str] = []
    adapter = module.adapter_for(PROVIDER)

    class Watching:
        def embed(self, *arguments: Any) -> Any:
            during.extend(windows())
            states.append(only_attempt().state)
            return adapter.embed(*arguments)

    monkeypatch.setattr(module, "adapter_for", lambda _name: Watching())
    EMBEDDER.embed(["Hello"], payer)
    attempt = only_attempt()
    assert (during, states) == ([(attempt.bound_nano, 0)], [AttemptState.DISPATCHED])
    assert 0 < attempt.cost_nano <= attempt.bound_nano
    assert windows() == [(0, attempt.cost_nano)]


def test_an_exhausted_budget_refuses_before_anything_is_sent(
    sandbox: SandboxClient, payer: Payer, make_budget: Budgets
) -> None:
    make_budget(limit_nano=1)
    calls = len(sandbox.get("/sandbox/book"))
    with pytest.raises(EmbedderRefusedError, match="budget"):
        EMBEDDER.embed(["Hello"], payer)
    assert len(sandbox.get("/sandbox/book")) == calls
    assert not Attempt.objects.exists() and not Hold.objects.exists() and not LedgerEntry.objects.exists()


def test_calls_before_the_budget_ran_out_stay_charged(
    sandbox: SandboxClient, payer: Payer, make_budget: Budgets
) -> None:
    EMBEDDER.embed(TEXTS[:10], payer)
    bound, cost = only_attempt().bound_nano, only_attempt().cost_nano
    make_budget(limit_nano=bound + cost - 1)
    with pytest.raises(EmbedderRefusedError):
        EMBEDDER.embed(TEXTS[:10] * 2, payer)
    assert windows() == [(0, cost)]


def test_a_model_without_a_price_is_refused(
    sandbox: SandboxClient, payer: Payer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MODEL", "text-embedding-9")
    with pytest.raises(EmbedderRefusedError, match="not in the price book"):
        EMBEDDER.embed(["Hello"], payer)
    assert not Attempt.objects.exists()


def test_a_downgrading_budget_never_sends_texts_to_a_chat_model(
    sandbox: SandboxClient, payer: Payer, make_budget: Budgets
) -> None:
    free = dict.fromkeys(("input", "cache_read", "cache_write"), 0)
    ModelPrice.objects.create(provider="deepseek", model="nearly-free", output=1, source="test", **free)
    CostPolicy.objects.create(
        organization_id=payer.organization_id,
        allowed_models=[{"provider": "deepseek", "model": "nearly-free", "classes": []}],
    )
    make_budget(limit_nano=1, enforcement="downgrade")
    with pytest.raises(EmbedderRefusedError, match="budget"):
        EMBEDDER.embed(["Hello"], payer)
    assert not Attempt.objects.exists() and not Hold.objects.exists()


def test_a_provider_error_costs_nothing_and_releases_the_reservation(
    sandbox: SandboxClient, payer: Payer, make_budget: Budgets
) -> None:
    make_budget(limit_nano=10**9)
    sandbox.behave(faults=[{"kind": "status", "status": 500}])
    with pytest.raises(EmbedderError) as caught:
        EMBEDDER.embed(["Hello"], payer)
    assert not isinstance(caught.value, EmbedderRefusedError)
    attempt = only_attempt()
    assert (attempt.state, attempt.error_code) == (AttemptState.RELEASED, "SERVER_ERROR")
    assert [(row.kind, row.nano) for row in LedgerEntry.objects.all()] == [(LedgerKind.FAILED, 0)]
    assert windows() == [(0, 0)]


def test_a_text_rejected_by_the_provider_is_refused(sandbox: SandboxClient, payer: Payer) -> None:
    sandbox.behave(faults=[{"kind": "status", "status": 400}])
    with pytest.raises(EmbedderRefusedError):
        EMBEDDER.embed(["Hello"], payer)
    assert only_attempt().state == AttemptState.RELEASED


def test_a_possibly_billed_call_is_booked_at_its_maximum_cost(
    sandbox: SandboxClient, payer: Payer, make_budget: Budgets
) -> None:
    make_budget(limit_nano=10**9)
    sandbox.behave(faults=[{"kind": "reset_after_billing"}])
    with pytest.raises(EmbedderError):
        EMBEDDER.embed(["Hello"], payer)
    attempt = only_attempt()
    assert attempt.state == AttemptState.ESTIMATED
    assert [(row.nano, row.estimated) for row in LedgerEntry.objects.all()] == [(attempt.bound_nano, True)]
    assert windows() == [(0, attempt.bound_nano)]


def test_a_response_without_usage_is_booked_by_our_own_token_count(sandbox: SandboxClient, payer: Payer) -> None:
    sandbox.behave(faults=[{"kind": "missing_usage"}])
    assert len(EMBEDDER.embed(["Hello"], payer)) == 1
    attempt = only_attempt()
    assert (attempt.state, attempt.error_code) == (AttemptState.ESTIMATED, "")
    (entry,) = LedgerEntry.objects.all()
    assert (entry.estimated, entry.errors, entry.input_tokens) == (True, 0, 1)
    assert attempt.cost_nano == entry.nano < attempt.bound_nano


def test_repeated_failures_open_the_circuit_breaker(sandbox: SandboxClient, payer: Payer, settings: Settings) -> None:
    settings.BREAKER_FAILURES = 2
    sandbox.behave(faults=[{"kind": "status", "status": 500}])
    for _ in range(4):
        with pytest.raises(EmbedderError):
            EMBEDDER.embed(["Hello"], payer)
    assert Attempt.objects.count() == 2
    assert [state.model for state in breaker.states()] == [MODEL]


def test_a_budget_refusal_releases_the_circuit_breaker_s_probe(
    sandbox: SandboxClient, payer: Payer, make_budget: Budgets, monkeypatch: pytest.MonkeyPatch
) -> None:
    released: list[tuple[str, str]] = []
    monkeypatch.setattr(breaker, "release_probe", lambda *circuit: released.append(circuit))
    make_budget(limit_nano=1)
    with pytest.raises(EmbedderRefusedError):
        EMBEDDER.embed(["Hello"], payer)
    assert released == [(PROVIDER, MODEL)]


def test_a_missing_openai_key_raises_an_embedder_error(payer: Payer, settings: Settings) -> None:
    settings.PROVIDER_API_KEYS = {"openai": "", "deepseek": "sk-1", "anthropic": ""}
    with pytest.raises(EmbedderError, match="has no key"):
        EMBEDDER.embed(["Hello"], payer)


@pytest.mark.parametrize("vector", [[1.0] * 10, [0.0] * 1536])
def test_invalid_vectors_are_charged_but_not_used(
    sandbox: SandboxClient, payer: Payer, monkeypatch: pytest.MonkeyPatch, vector: list[float]
) -> None:
    class Nonsense:
        def embed(self, *_arguments: Any) -> module.EmbeddingAnswer:
            return module.EmbeddingAnswer([vector], TokenUsage(input=3))

    monkeypatch.setattr(module, "adapter_for", lambda _name: Nonsense())
    with pytest.raises(EmbedderError, match="1536"):
        EMBEDDER.embed(["Hello"], payer)
    assert only_attempt().cost_nano == 3 * NANO_PER_TOKEN


@pytest.mark.django_db(transaction=True)
def test_a_deleted_api_key_raises_an_embedder_error(sandbox: SandboxClient, payer: Payer) -> None:
    with pytest.raises(EmbedderError, match="ledger"):
        EMBEDDER.embed(["Hello"], Payer(payer.organization_id, api_key_id=10**9))


def test_the_embedding_model_is_not_offered_for_chat(payer: Payer) -> None:
    assert (PROVIDER, MODEL) not in create_cost_optimizer().priced_models()
    assert create_cost_optimizer().price_of(PROVIDER, MODEL).input == NANO_PER_TOKEN * 1_000_000


@pytest.mark.django_db(transaction=True)
def test_concurrent_calls_never_exceed_the_budget(sandbox: SandboxClient, payer: Payer) -> None:
    EMBEDDER.embed(["Hello"], payer)
    bound = only_attempt().bound_nano
    Budget.objects.create(
        organization_id=payer.organization_id, period="daily", enforcement="block", limit_nano=3 * bound
    )
    outcomes: list[str] = []

    def work() -> None:
        try:
            EMBEDDER.embed(["Hello"], payer)
            outcomes.append("embedded")
        except EmbedderRefusedError:
            outcomes.append("refused")
        finally:
            module.transaction.get_connection().close()

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with organization_scope(payer.organization_id):
        ((reserved, committed),) = windows()
        assert (len(outcomes), reserved) == (8, 0)
        assert committed == sum(Hold.objects.values_list("committed_nano", flat=True)) <= 3 * bound
        assert outcomes.count("embedded") == Attempt.objects.count() - 1 == LedgerEntry.objects.count() - 1


def test_other_organizations_attempts_are_not_visible(
    sandbox: SandboxClient, payer: Payer, other_organization: Organization
) -> None:
    EMBEDDER.embed(["Hello"], Payer(other_organization.pk))
    assert not Attempt.objects.exists()
    with system_scope():
        assert Attempt.objects.get().organization_id == other_organization.pk
