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
    """A scripted embedder with its own clock; it records the texts that it embeds."""

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


def test_a_text_is_embedded_once_per_partition(embedder: ScriptedEmbedder) -> None:
    first = embed_for_lookup("a question", "partition", PAYER)
    assert embed_for_lookup("a question", "partition", PAYER) is first
    assert embedder.asked == ["a question"]


def test_partitions_do_not_share_cached_vectors(embedder: ScriptedEmbedder) -> None:
    embed_for_lookup("a question", "of one organization", PAYER)
    embed_for_lookup("a question", "of another", Payer(2))
    assert len(embedder.asked) == 2


def test_cached_vectors_are_read_only(embedder: ScriptedEmbedder) -> None:
    with pytest.raises(ValueError, match="read-only"):
        embed_for_lookup("a question", "partition", PAYER)[0] = 5


def test_the_least_recently_used_vector_is_evicted(embedder: ScriptedEmbedder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vector_cache, "REMEMBERED_MAX", 2)
    for text in ["one", "two", "one", "three", "one", "two"]:
        embed_for_lookup(text, "partition", PAYER)
    assert embedder.asked == ["one", "two", "three", "two"]


def test_a_failure_is_not_cached(embedder: ScriptedEmbedder) -> None:
    embedder.error = EmbedderError("away")
    fail(1)
    embedder.error = None
    assert embed_for_lookup("a question", "partition", PAYER)[0] == 1


def test_consecutive_failures_open_the_circuit(embedder: ScriptedEmbedder) -> None:
    embedder.error = EmbedderError("away")
    fail()
    embedder.error = None
    embedder.now += PAUSE_S - 1
    fail(3)
    assert len(embedder.asked) == FAILURES_MAX
    assert embedder_state() == vector_cache.EmbedderState("scripted/1", False, FAILURES_MAX, pytest.approx(1))


def test_a_success_resets_the_failure_count(embedder: ScriptedEmbedder) -> None:
    for error in [EmbedderError("away"), None] * 2:
        embedder.error = error
        for number in range(FAILURES_MAX - 1):
            try:
                embed_for_lookup(f"{error} {number}", "partition", PAYER)
            except EmbedderError:
                assert error
    assert embedder_state().working


def test_a_successful_probe_after_the_pause_closes_the_circuit(embedder: ScriptedEmbedder) -> None:
    embedder.error = EmbedderError("away")
    fail()
    embedder.now += PAUSE_S
    embedder.error = None
    assert embed_for_lookup("a question", "partition", PAYER) is not None
    assert embedder_state() == vector_cache.EmbedderState("scripted/1", True, 0, 0.0)


def test_a_failed_probe_reopens_the_circuit(embedder: ScriptedEmbedder) -> None:
    embedder.error = EmbedderError("away")
    fail()
    embedder.now += PAUSE_S
    fail(3)
    assert len(embedder.asked) == FAILURES_MAX + 1


def test_only_one_probe_runs_at_a_time(embedder: ScriptedEmbedder, monkeypatch: pytest.MonkeyPatch) -> None:
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


def test_slow_calls_count_as_failures_but_their_vectors_are_used(embedder: ScriptedEmbedder) -> None:
    embedder.takes_s = SLOW_S + 0.1
    for number in range(FAILURES_MAX):
        assert embed_for_lookup(str(number), "partition", PAYER)[0] == 1
    fail(1)
    assert not embedder_state().working


def test_refusals_do_not_open_the_circuit(embedder: ScriptedEmbedder) -> None:
    embedder.error = EmbedderRefusedError("your budget is spent")
    fail(FAILURES_MAX * 2)
    assert (len(embedder.asked), embedder_state().failures) == (FAILURES_MAX * 2, 0)


def test_a_refused_probe_is_released(embedder: ScriptedEmbedder) -> None:
    embedder.error = EmbedderError("away")
    fail()
    embedder.now += PAUSE_S
    embedder.error = EmbedderRefusedError("your budget is spent")
    fail(1)
    embedder.error = None
    assert embed_for_lookup("a question", "partition", PAYER) is not None


def test_cached_vectors_are_served_while_the_circuit_is_open(embedder: ScriptedEmbedder) -> None:
    kept = embed_for_lookup("known", "partition", PAYER)
    embedder.error = EmbedderError("away")
    fail()
    assert embed_for_lookup("known", "partition", PAYER) is kept


def test_the_state_reports_the_embedder_s_id_without_loading_it() -> None:
    assert embedder_state() == vector_cache.EmbedderState("minilm-l6-v2-int8/1", True, 0, 0.0)


def test_slow_model_loading_does_not_count_as_a_failure(embedder: ScriptedEmbedder) -> None:
    embedder.loading_takes_s = 10 * SLOW_S
    for number in range(2 * FAILURES_MAX):
        embed_for_lookup(f"question {number}", "partition", PAYER)
    assert embedder_state().working
