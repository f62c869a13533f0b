"""The index's scripts, compared with a Python model over random sequences of operations."""

import time
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule, run_state_machine_as_test

from aiinfra.redis import redis_client
from queue_app.models import AIRequest, Priority, QueuePolicy
from queue_app.ordering import index, provider_limits, turns
from queue_app.ordering.index import IndexEntry
from tests.queue_app.index_model import Model, Policy
from tests.support.examples import examples

ORGANIZATIONS = (1, 2, 3)
MODELS = ("deepseek/deepseek-chat", "deepseek/deepseek-flash", "openai/gpt-4")
LIMITS = ("deepseek/", "deepseek/deepseek-flash", "openai/gpt-4")
HEADS_SEEN = 64
MICROSECOND = 1e-5
MODEL_OF = {"deepseek/": "deepseek/deepseek-chat", **{name: name for name in LIMITS[1:]}}
"""A model that counts toward a limit."""
START = datetime(2026, 1, 1, tzinfo=UTC)
FAR = timedelta(days=365 * 100)


class IndexMachine(RuleBasedStateMachine):
    requests = Bundle("requests")
    all_are_old = False

    def __init__(self) -> None:
        super().__init__()
        redis_client().flushall()
        self.model = Model(all_are_old=self.all_are_old)
        self.known: dict[IndexEntry, AIRequest] = {}
        self.awaited: set[IndexEntry] = set()
        self.handed_over: set[IndexEntry] = set()

    @rule(
        target=requests,
        organization=st.sampled_from(ORGANIZATIONS),
        priority=st.sampled_from(Priority),
        age=st.integers(0, 600),
        delayed=st.booleans(),
        model=st.sampled_from(MODELS),
    )
    def accept(self, organization: int, priority: Priority, age: int, delayed: bool, model: str) -> AIRequest:
        number = len(self.known)
        request = AIRequest(
            id=UUID(int=number),
            organization_id=organization,
            priority=priority.value,
            provider=model.partition("/")[0],
            model=model.partition("/")[2],
            # No two scores are equal, so that there is one right order.
            created_at=START + timedelta(seconds=age, milliseconds=number),
            not_before=START + (FAR if delayed else timedelta()),
        )
        self.known[IndexEntry.of(request)] = request
        self._admit(request)
        return request

    def _admit(self, request: AIRequest) -> None:
        index.admit([request])
        entry = IndexEntry.of(request)
        if entry in self.model.claims:
            return
        self.model.models[entry] = request.next_call
        if request.not_before > START:
            self.model.delayed[entry] = request
        else:
            self.model.ready[entry] = index.score_of(request)

    @rule(request=requests)
    def admit_again(self, request: AIRequest) -> None:
        entry = IndexEntry.of(request)
        if entry in self.model.delayed or entry in self.model.ready or entry in self.model.claims:
            index.admit([request])

    @rule()
    def claim(self) -> None:
        while (best := self.model.best()) in self.awaited:
            self._begin(best)
            self.awaited.remove(best)
            self.handed_over.add(best)
        if best:
            self._begin(best)
        self._check_claim(index.claim(), best)

    def _begin(self, entry: IndexEntry) -> None:
        del self.model.ready[entry]
        self.model.claims.add(entry)
        self.model.served.append(entry.organization_id)
        if limit := self.model.limit_of(self.model.models[entry]):
            self.model.unsent[entry] = limit

    def _check_claim(self, claimed: IndexEntry | None, expected: IndexEntry | None) -> None:
        assert claimed == expected
        if claimed:
            model = self.model.models[claimed]
            assert (claimed.model, claimed.limit) == (model, self.model.limit_of(model))

    @rule(request=requests)
    def await_turn(self, request: AIRequest) -> None:
        entry = IndexEntry.of(request)
        claimed = turns.handed_over(request.id)
        assert claimed == (entry if entry in self.handed_over else None)
        if claimed is None:
            self.awaited.add(entry)
        self.handed_over.discard(entry)

    @rule(request=requests)
    def give_up_the_turn(self, request: AIRequest) -> None:
        entry = IndexEntry.of(request)
        assert turns.give_up(request.id) == (entry if entry in self.handed_over else None)
        self.awaited.discard(entry)
        self.handed_over.discard(entry)

    @rule(request=consumes(requests))
    def release(self, request: AIRequest) -> None:
        index.release([IndexEntry.of(request)])
        self.model.release(IndexEntry.of(request))

    @rule(request=requests, delayed=st.booleans(), model=st.sampled_from(MODELS))
    def fail_and_try_again(self, request: AIRequest, delayed: bool, model: str) -> None:
        if IndexEntry.of(request) not in self.model.claims:
            return
        index.release([IndexEntry.of(request)])
        self.model.release(IndexEntry.of(request))
        request.not_before = START + (FAR if delayed else timedelta())
        request.next_model = "" if model == f"{request.provider}/{request.model}" else model
        self._admit(request)

    @rule(request=requests, model=st.sampled_from(MODELS))
    def admit_with_another_model(self, request: AIRequest, model: str) -> None:
        """The reconciler's rows are older than a fallback: who comes last decides."""
        if IndexEntry.of(request) in self.model.ready:
            request.next_model = model
            self._admit(request)

    @rule(request=requests)
    def send(self, request: AIRequest) -> None:
        entry = IndexEntry.of(request)
        if entry not in self.model.claims:
            return
        index.run("sent", [str(entry), self.model.models[entry], f"call {len(self.model.sent)}"])
        self.model.unsent.pop(entry, None)
        self.model.sent.append(self.model.limit_of(self.model.models[entry]))

    @rule(limits=st.dictionaries(st.sampled_from(LIMITS), st.integers(0, 3)))
    def set_limits(self, limits: dict[str, int]) -> None:
        self.model.limits = limits
        index.run("set_limits", [each for limit in limits.items() for each in limit])

    @rule()
    def a_minute_passes(self) -> None:
        """The scripts go by Redis's own clock, so the calls are moved instead of the time."""
        for name in LIMITS:
            key = f"{index.PREFIX}calls:{name}"
            for member, at in redis_client().zrange(key, 0, -1, withscores=True):
                redis_client().zadd(key, {member: at - 100})
        self.model.sent.clear()

    @rule(request=requests)
    def remove(self, request: AIRequest) -> None:
        index.remove(request)
        self.model.ready.pop(IndexEntry.of(request), None)
        self.model.delayed.pop(IndexEntry.of(request), None)

    @rule(
        organization=st.sampled_from(ORGANIZATIONS),
        weight=st.integers(1, 3),
        cap=st.integers(0, 2),
        paused=st.frozensets(st.sampled_from(Priority.values), max_size=3),
    )
    def set_policy(self, organization: int, weight: int, cap: int, paused: frozenset[int]) -> None:
        self.model.policies[organization] = Policy(weight, cap, paused)
        index.set_policy(self._policy_row(organization))

    def _policy_row(self, organization: int) -> QueuePolicy:
        policy = self.model.policy(organization)
        return QueuePolicy(
            organization_id=organization,
            weight=policy.weight,
            max_in_flight=policy.cap,
            paused_priorities=sorted(policy.paused),
        )

    @rule()
    def delay_ends(self) -> None:
        """The scripts go by Redis's own clock, so the due times are moved instead of the time."""
        for member in redis_client().zrange(index.PREFIX + "delayed", 0, -1):
            redis_client().zadd(index.PREFIX + "delayed", {member: 1})
        for entry, request in self.model.delayed.items():
            self.model.ready[entry] = index.score_of(request)
            request.not_before = START
        self.model.delayed.clear()
        assert index.promote() >= len(self.model.heads())

    @rule()
    def lose_everything_and_rebuild(self) -> None:
        redis_client().flushall()
        self.awaited.clear()
        self.handed_over.clear()
        self.model.served.clear()
        index.run("set_limits", [each for limit in self.model.limits.items() for each in limit])
        sent = [(MODEL_OF[limit], f"call {number}") for number, limit in enumerate(self.model.sent) if limit]
        self.model.sent = [self.model.limit_of(model) for model, _ in sent]
        index.run("record_calls", [each for model, call in sent for each in (model, call, time.time())])
        for organization in self.model.policies:
            index.set_policy(self._policy_row(organization))
        index.hold(replace(entry, model=self.model.models[entry]) for entry in self.model.claims)
        self.model.unsent = {
            entry: limit for entry in self.model.claims if (limit := self.model.limit_of(self.model.models[entry]))
        }
        index.admit(self.known[entry] for entry in [*self.model.ready, *self.model.delayed])

    @rule(organization=st.sampled_from(ORGANIZATIONS), wrong=st.integers(0, 5))
    def drift_and_recount(self, organization: int, wrong: int) -> None:
        redis_client().hset(index.PREFIX + "inflight", str(organization), str(wrong))
        index.recount()

    @invariant()
    def depths_are_true(self) -> None:
        expected = Counter((entry.organization_id, entry.priority) for entry in self.model.ready)
        everyone = Counter(entry.priority for entry in self.model.ready)
        depths = index.depths()
        assert {key: count for key, count in depths.items() if key[0] is not None} == dict(expected)
        assert {key[1]: n for key, n in depths.items() if key[0] is None and n} == dict(everyone)
        assert index.ready_total() == len(self.model.ready)
        assert index.state().size == len(self.model.ready) + len(self.model.delayed) + len(self.model.claims)

    @invariant()
    def flights_are_true(self) -> None:
        counted = {int(key): int(n) for key, n in redis_client().hgetall(index.PREFIX + "inflight").items()}
        assert counted == Counter(entry.organization_id for entry in self.model.claims)

    @invariant()
    def heads_are_true(self) -> None:
        """A score may be too good until the organization is looked at, where a limit has filled up; never too bad."""
        index.promote()
        heads = dict(redis_client().zrange(index.PREFIX + "heads", 0, -1, withscores=True))
        best = {str(each): score for each, (score, _) in self.model.heads(whatever_the_limits=True).items()}
        sure = {str(each): score for each, (score, _) in self.model.heads().items()}
        assert sure.keys() <= heads.keys() <= best.keys()
        assert all(best[each] - MICROSECOND <= heads[each] for each in heads)
        assert all(heads[each] <= sure[each] + MICROSECOND for each in sure)
        if not any(self.model.limits.values()):
            assert heads == pytest.approx(sure, abs=MICROSECOND)

    @invariant()
    def limits_are_kept(self) -> None:
        used = {name: use.used for name, use in provider_limits.limit_uses().items()}
        counted = Counter([*self.model.unsent.values(), *self.model.sent])
        assert used == {name: counted[name] for name, most in self.model.limits.items() if most}

    @invariant()
    def those_who_wait_for_a_limit_are_counted(self) -> None:
        waiting = Counter(self.model.models[entry] for entry in self.model.ready if not self.model.has_room(entry))
        assert provider_limits.waiting_for_limits(ORGANIZATIONS) == waiting

    @invariant()
    def held_ones_are_counted(self) -> None:
        held = Counter(entry.organization_id for entry in self.model.delayed)
        assert {each: count for each, count in index.held().items() if each is not None} == held
        assert index.held().get(None, 0) == held.total()

    @invariant()
    def terms_are_known(self) -> None:
        assert index.known_terms() == {
            organization: index.index_terms(self._policy_row(organization)) for organization in self.model.policies
        }


class OldRequestsMachine(IndexMachine):
    """Everything has waited longer than the age horizon between organizations."""

    all_are_old = True


@pytest.mark.parametrize(("machine", "horizon_s"), [(IndexMachine, 1e11), (OldRequestsMachine, 300)])
def test_the_scripts_match_the_model(
    machine: type[IndexMachine], horizon_s: float, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(index, "horizon_s", lambda: horizon_s)
    monkeypatch.setattr(turns, "kept_s", lambda: 3600)
    run_state_machine_as_test(
        machine, settings=settings(max_examples=examples(20, 300), stateful_step_count=30, deadline=None)
    )


def test_the_age_horizon_equals_the_largest_head_start() -> None:
    assert index.horizon_s() == 300
