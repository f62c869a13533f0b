"""Model-based test: after any sequence of operations, store and index contain exactly the entries of a dictionary."""

from collections.abc import Callable
from dataclasses import dataclass

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from cache_app.index.matrix import MatrixIndex
from cache_app.store import clearing, entries, janitor, l1
from cache_app.store.scripts import client, prefix
from tests.cache_app.store.making import id_of, make_entry, new_organization, now_ms, vector_of
from tests.support.examples import examples

MOST = 6
NUMBERS = st.integers(min_value=1, max_value=MOST)
PARTITIONS = st.sampled_from(["a" * 32, "b" * 32])
TAGS = st.sets(st.sampled_from(["x", "y"]))
MODELS = st.sampled_from(["one", "two"])


@dataclass(frozen=True)
class Known:
    """What the dictionary knows of an entry."""

    partition: str
    tags: frozenset[str]
    model: str
    has_vector: bool


class StoreAndIndex(RuleBasedStateMachine):
    """Two indexes read what one writes: one is asked after each step, the other one seldom."""

    def __init__(self) -> None:
        super().__init__()
        self.org = new_organization()
        self.other = new_organization()
        self.known: dict[int, Known] = {}
        self.often, self.seldom = MatrixIndex(20_000), MatrixIndex(100_000_000)

    @initialize()
    def empty(self) -> None:
        l1.clear()
        entries.put(make_entry(self.other, 1), vector=vector_of(1))

    @rule(number=NUMBERS, partition=PARTITIONS, tags=TAGS, model=MODELS, has_vector=st.booleans())
    def put(self, number: int, partition: str, tags: set[str], model: str, *, has_vector: bool) -> None:
        entry = make_entry(self.org, number, partition=partition, tags=tuple(tags), model=model)
        entries.put(entry, vector=vector_of(number) if has_vector else None)
        self.known[number] = Known(partition, frozenset(tags), model, has_vector)

    @rule(number=NUMBERS)
    def put_what_has_expired(self, number: int) -> None:
        entries.put(make_entry(self.org, number, expires_ms=now_ms() - 1), vector=vector_of(number))
        self.known.pop(number, None)

    @rule(number=NUMBERS)
    def give_it_its_vector(self, number: int) -> None:
        known = self.known.get(number)
        waits = known is not None and not known.has_vector
        assert entries.add_vector(self.org, id_of(number), vector_of(number)) == waits
        if known and waits:
            self.known[number] = Known(known.partition, known.tags, known.model, has_vector=True)

    @rule(number=NUMBERS)
    def delete(self, number: int) -> None:
        assert clearing.delete(self.org, id_of(number)) == (number in self.known)
        self.known.pop(number, None)

    @rule(tags=TAGS)
    def clear_tags(self, tags: set[str]) -> None:
        self._cleared(clearing.clear_tags(self.org, tags), lambda known: bool(known.tags & tags))

    @rule(model=MODELS)
    def clear_model(self, model: str) -> None:
        self._cleared(clearing.clear_model(self.org, "deepseek", model), lambda known: known.model == model)

    @rule()
    def clear_all(self) -> None:
        self._cleared(clearing.clear_all(self.org), lambda _known: True)

    @rule(number=NUMBERS, pinned=st.booleans())
    def pin(self, number: int, *, pinned: bool) -> None:
        act = entries.pin if pinned else entries.unpin
        assert act(self.org, id_of(number)) == (number in self.known)

    @rule()
    def clean_up(self) -> None:
        assert janitor.clean_up(self.org) == 0

    @rule()
    def lose_everything(self) -> None:
        client().delete(*client().keys(prefix(self.org) + "*") or ["none"])
        self.known.clear()

    @rule(are_changes_lost=st.booleans())
    def ask_the_seldom_one(self, *, are_changes_lost: bool) -> None:
        if are_changes_lost:
            client().xtrim(prefix(self.org) + "log", maxlen=0)
        self._asked(self.seldom)

    @invariant()
    def finds_what_is_there_and_nothing_else(self) -> None:
        self._asked(self.often)

    def _asked(self, index: MatrixIndex) -> None:
        for partition in ("a" * 32, "b" * 32):
            for number in range(1, MOST + 1):
                self._found(index, partition, number)

    def _found(self, index: MatrixIndex, partition: str, number: int) -> None:
        nearest = [near.entry_id for near in index.nearest(self.org, partition, vector_of(number))]
        served = list(entries.fetch_valid(self.org, partition, [id_of(number), *nearest]))
        inside = {id_of(n) for n, known in self.known.items() if known.partition == partition}
        assert set(served) <= inside
        known = self.known.get(number)
        if known and known.partition == partition:
            assert id_of(number) in served
            assert not known.has_vector or nearest[0] == id_of(number)

    def _cleared(self, removed: int, goes: Callable[[Known], bool]) -> None:
        gone = [number for number, known in self.known.items() if goes(known)]
        assert removed == len(gone)
        for number in gone:
            del self.known[number]


@pytest.mark.usefixtures("redis_url")
def test_store_and_index_match_the_model() -> None:
    StoreAndIndex.TestCase.settings = settings(
        max_examples=examples(15, 200), stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
    )
    case = StoreAndIndex.TestCase()
    case.runTest()
