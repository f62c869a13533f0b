import time
from collections.abc import Sequence
from types import SimpleNamespace

import numpy as np
import pytest

from cache_app.embedding import vector_cache
from cache_app.embedding.base import EmbedderError, EmbedderRefusedError, Payer, Scale, Vector
from cache_app.embedding.vector_cache import FAILURES_MAX, PAUSE_S, SLOW_S, embed_for_lookup, embedder_state

PAYER = Payer(1)


class ScriptedEmbedder:
    """Does what the test says, on a clock that it sets; keeps what it was asked."""

    id = "scripted/1"
    dimensions = 2
    scale = Scale(edge=0.85, clear=0.90, near=0.75)

    def __init__(self) -> None:
        self.now = time.monotonic()
        self.asked: list[str] = []
        self.error: EmbedderError | None = None
        self.takes_s = self.loading_takes_s = 0.0

    def prepare(self) -> None:
        self.now += self.loading_takes_s

    def embed(self, texts: Sequence[str], payer: Payer) -> list[Vector]:  # noqa: ARG002 - costs nothing
        self.asked += texts
        self.now += self.takes_s
        if self.error:
            raise self.error
        return [np.array([1, 0], dtype=np.float32) for _ in texts]


@pytest.fixture
def embedder(monkeypatch: pytest.MonkeyPatch) -> ScriptedEmbedder:
    scripted = ScriptedEmbedder()
    monkeypatch.setattr(vector_cache, "configured_embedder", lambda: scripted)
    monkeypatch.setattr(vector_cache, "time", SimpleNamespace(monotonic=lambda: scripted.now))
    return scripted


def fail(times: int = FAILURES_MAX) -> None:
    for _ in range(times):
        with pytest.raises(EmbedderError):
            embed_for_lookup("a question", "partition", PAYER)


def test_a_text_is_embedded_once_a_partition(embedder: ScriptedEmbedder) -> None:
    first = embed_for_lookup("a question", "partition", PAYER)
    assert embed_for_lookup("a question", "partition", PAYER) is first
    assert embedder.asked == ["a question"]


def test_another_partition_embeds_the_same_text_again(embedder: ScriptedEmbedder) -> None:
    embed_for_lookup("a question", "of one organization", PAYER)
    embed_for_lookup("a question", "of another", Payer(2))
    assert len(embedder.asked) == 2


def test_what_is_remembered_cannot_be_changed(embedder: ScriptedEmbedder) -> None:
    with pytest.raises(ValueError, match="read-only"):
        embed_for_lookup("a question", "partition", PAYER)[0] = 5


def test_the_least_recently_used_is_forgotten(embedder: ScriptedEmbedder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vector_cache, "REMEMBERED_MAX", 2)
    for text in ["one", "two", "one", "three", "one", "two"]:
        embed_for_lookup(text, "partition", PAYER)
    assert embedder.asked == ["one", "two", "three", "two"]


def test_a_failure_is_not_remembered(embedder: ScriptedEmbedder) -> None:
    embedder.error = EmbedderError("away")
    fail(1)
    embedder.error = None
    assert embed_for_lookup("a question", "partition", PAYER)[0] == 1


def test_after_failures_in_a_row_the_embedder_is_left_alone(embedder: ScriptedEmbedder) -> None:
    embedder.error = EmbedderError("away")
    fail()
    embedder.error = None
    embedder.now += PAUSE_S - 1
    fail(3)
    assert len(embedder.asked) == FAILURES_MAX
    assert embedder_state() == vector_cache.EmbedderState("scripted/1", False, FAILURES_MAX, pytest.approx(1))


def test_a_success_between_failures_keeps_it_working(embedder: ScriptedEmbedder) -> None:
    for error in [EmbedderError("away"), None] * 2:
        embedder.error = error
        for number in range(FAILURES_MAX - 1):
            try:
                embed_for_lookup(f"{error} {number}", "partition", PAYER)
            except EmbedderError:
                assert error
    assert embedder_state().working


def test_after_the_pause_one_probe_goes_through_and_closes_the_circuit(embedder: ScriptedEmbedder) -> None:
    embedder.error = EmbedderError("away")
    fail()
    embedder.now += PAUSE_S
    embedder.error = None
    assert embed_for_lookup("a question", "partition", PAYER) is not None
    assert embedder_state() == vector_cache.EmbedderState("scripted/1", True, 0, 0.0)


def test_a_probe_that_fails_opens_it_again(embedder: ScriptedEmbedder) -> None:
    embedder.error = EmbedderError("away")
    fail()
    embedder.now += PAUSE_S
    fail(3)
    assert len(embedder.asked) == FAILURES_MAX + 1


def test_while_the_probe_is_out_nobody_else_is_let_through(
    embedder: ScriptedEmbedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    embedder.error = EmbedderError("away")
    fail()
    embedder.now += PAUSE_S
    embed, others = embedder.embed, []

    def embed_while_another_comes(texts: Sequence[str], payer: Payer) -> list[Vector]:
        embedder.error = None
        with pytest.raises(EmbedderError):
            others.append(embed_for_lookup("another", "partition", PAYER))
        return embed(texts, payer)

    monkeypatch.setattr(embedder, "embed", embed_while_another_comes)
    embed_for_lookup("a question", "partition", PAYER)
    assert embedder.asked[FAILURES_MAX:] == ["a question"]


def test_slow_runs_count_as_failures_although_they_are_used(embedder: ScriptedEmbedder) -> None:
    embedder.takes_s = SLOW_S + 0.1
    for number in range(FAILURES_MAX):
        assert embed_for_lookup(str(number), "partition", PAYER)[0] == 1
    fail(1)
    assert not embedder_state().working


def test_refusals_of_one_payer_close_the_embedder_to_nobody(embedder: ScriptedEmbedder) -> None:
    embedder.error = EmbedderRefusedError("your budget is spent")
    fail(FAILURES_MAX * 2)
    assert (len(embedder.asked), embedder_state().failures) == (FAILURES_MAX * 2, 0)


def test_a_probe_that_is_refused_leaves_the_probe_to_the_next(embedder: ScriptedEmbedder) -> None:
    embedder.error = EmbedderError("away")
    fail()
    embedder.now += PAUSE_S
    embedder.error = EmbedderRefusedError("your budget is spent")
    fail(1)
    embedder.error = None
    assert embed_for_lookup("a question", "partition", PAYER) is not None


def test_what_is_remembered_is_found_while_the_embedder_is_out_of_order(embedder: ScriptedEmbedder) -> None:
    kept = embed_for_lookup("known", "partition", PAYER)
    embedder.error = EmbedderError("away")
    fail()
    assert embed_for_lookup("known", "partition", PAYER) is kept


def test_the_state_names_the_configured_embedder_without_loading_it() -> None:
    assert embedder_state() == vector_cache.EmbedderState("minilm-l6-v2-int8/1", True, 0, 0.0)


def test_a_model_that_takes_long_to_load_is_not_out_of_order(embedder: ScriptedEmbedder) -> None:
    embedder.loading_takes_s = 10 * SLOW_S
    for number in range(2 * FAILURES_MAX):
        embed_for_lookup(f"question {number}", "partition", PAYER)
    assert embedder_state().working
