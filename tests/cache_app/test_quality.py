"""Recall and error rate on the project's labeled pairs must not regress."""

from pathlib import Path

import pytest

from benchmarks.cache_quality import GPTCACHE, OWN, SCALE, conversations_of, pairs_of, partitioned, replayed, rows_of
from cache_app.guards.calibration import Pair, guarded, plain
from cache_app.guards.decision import decide

DEFAULT = SCALE.edge
LEAST_RECALL = 0.85
MOST_WRONG = 0.02


@pytest.fixture(scope="module")
def pairs() -> list[Pair]:
    """The project's labeled pairs with their similarities."""
    return pairs_of(rows_of(OWN / "pairs.jsonl"))


def test_the_default_threshold_serves_most_repeats_and_few_traps(pairs: list[Pair]) -> None:
    found = guarded(pairs, DEFAULT, SCALE)
    assert len(pairs) >= 120
    assert found.recall >= LEAST_RECALL
    assert found.wrong_share <= MOST_WRONG


def test_similarity_alone_serves_traps_that_the_guards_refuse(pairs: list[Pair]) -> None:
    assert plain(pairs, DEFAULT).wrong_share > 0.4
    assert plain(pairs, GPTCACHE).wrong_share > plain(pairs, DEFAULT).wrong_share


def test_no_answer_of_another_conversation_is_served() -> None:
    conversations, together = conversations_of(rows_of(OWN / "conversations.jsonl"))
    found = partitioned(conversations, together, DEFAULT)
    assert len(conversations) >= 20
    assert found.wrong == 0
    assert found.recall >= 0.7
    assert plain(conversations, DEFAULT).wrong_share >= 0.5


def test_replay_counts_a_paraphrase_as_a_hit_and_a_trap_as_a_miss() -> None:
    clusters = [
        {"cluster": 1, "qs": ["How do I turn on two-factor login?", "How can I enable two-factor login?"]},
        {"cluster": 2, "qs": ["How do I turn off two-factor login?"]},
        {"cluster": 3, "qs": ["What were our scope 1 emissions in 2023?"]},
    ]
    found = replayed(clusters, lambda one, other, cosine: decide(one, other, cosine, 0.80, SCALE).serve, 0.80, 3)
    assert (found.served, found.wrong, found.repeats) == (1, 0, 1)


def test_the_projects_set_has_no_duplicate_pairs() -> None:
    rows = rows_of(Path(OWN) / "pairs.jsonl")
    assert len({(row["a"], row["b"]) for row in rows}) == len(rows)
