"""Writing entries and reading those that can be served."""

import time
import zlib
from collections.abc import Callable

import pytest
from redis import Redis

from aiinfra.providers.base import TokenUsage
from aiinfra.redis import bytes_client
from cache_app.store import clearing, entries, janitor, l1
from cache_app.store.browse import waiting_for_vectors
from cache_app.store.entries import Entry, fetch_one, fetch_valid, put
from cache_app.store.scripts import run, user_tag
from tests.cache_app.store.making import PARTITION, id_of, make_entry, now_ms, vector_of

ID = id_of(1)
OTHER_PARTITION = "b" * 32


def keys_of(org: int) -> set[str]:
    return {key.decode().split("}:")[1] for key in bytes_client().scan_iter(f"sc:{{{org}}}:*")}


def stored(org: int, number: int = 1, **fields: object) -> Entry:
    entry = make_entry(org, number, **fields)
    put(entry, vector=vector_of(number))
    return entry


def test_a_stored_entry_round_trips(org: int) -> None:
    entry = make_entry(
        org,
        response={"role": "assistant", "content": "Größe: 3 m²", "finishReason": "stop", "toolCalls": [{"id": "x"}]},
        usage=TokenUsage(1, 2, 3, 4, 5),
        tags=("esg", "ünïcode tag", "u:odd"),
        metadata={"team": ["a", 1, None]},
        origin="warmed",
        request_id="r",
        api_key_id=7,
        user_ref="u",
        latency_ms=900,
        bar=0.93,
        blocked=frozenset({id_of(8), id_of(9)}),
        pinned=True,
    )
    put(entry, vector=vector_of(1))

    found = fetch_valid(org, PARTITION, [ID])[ID]

    assert found.stamp > 0
    assert Entry(**{**found.__dict__, "stamp": 0}) == entry


def test_an_entry_is_not_served_in_another_partition_or_organization(org: int) -> None:
    stored(org)

    assert fetch_valid(org, OTHER_PARTITION, [ID]) == {}
    assert fetch_valid(org + 1, PARTITION, [ID]) == {}
    assert list(fetch_valid(org, PARTITION, [id_of(2), ID])) == [ID]


def test_use_does_not_extend_an_entry_s_expiry(org: int) -> None:
    stored(org, expires_ms=now_ms() + 300)
    entries.touching(org, ID).run()
    found = fetch_one(org, ID)
    assert found is not None

    time.sleep(max(0, found.expires_ms - now_ms()) / 1000 + 0.01)

    assert fetch_one(org, ID) is None


def test_an_expired_entry_in_redis_is_not_served(org: int) -> None:
    stored(org)
    bytes_client().hset(f"sc:{{{org}}}:e:{ID}", "expires_ms", now_ms() - 1)

    assert fetch_one(org, ID) is None


def test_an_expired_entry_is_not_stored_and_removes_its_predecessor(org: int) -> None:
    stored(org)
    stored(org, expires_ms=now_ms() - 1)

    assert fetch_one(org, ID) is None
    assert keys_of(org) == {"state", "log"}


def test_replacing_an_entry_removes_all_keys_of_the_old_one(org: int) -> None:
    stored(org, tags=("old",), partition=OTHER_PARTITION)
    stored(org, tags=("new",))

    assert keys_of(org) == {
        *("state", "log", "lru", "exp", "places", f"e:{ID}", f"v:{PARTITION}"),
        *("t:*", "t:u:new", "t:m:deepseek/deepseek-chat"),
    }


def test_a_pin_survives_the_replacement_of_its_entry(org: int) -> None:
    stored(org)
    assert entries.pin(org, ID)
    stored(org)

    found = fetch_one(org, ID)
    assert found is not None
    assert found.pinned


def test_the_least_recently_used_entry_is_evicted(org: int) -> None:
    for number in (1, 2, 3):
        put(make_entry(org, number), vector=vector_of(number), max_entries=3)
    entries.touching(org, id_of(1)).run()
    put(make_entry(org, 4), vector=None, max_entries=3)

    assert [number for number in range(1, 5) if fetch_one(org, id_of(number))] == [1, 3, 4]


def test_expired_entries_are_evicted_first(org: int) -> None:
    stored(org, 1)
    stored(org, 2)
    bytes_client().zadd(f"sc:{{{org}}}:exp", {id_of(2): now_ms() - 1})
    put(make_entry(org, 3), vector=None, max_entries=2)

    assert [number for number in range(1, 4) if fetch_one(org, id_of(number))] == [1, 3]


def test_a_pinned_entry_is_not_evicted_until_unpinned(org: int) -> None:
    stored(org, 1)
    entries.pin(org, id_of(1))
    for number in range(2, 6):
        put(make_entry(org, number), vector=None, max_entries=2)
    assert fetch_one(org, id_of(1))

    entries.unpin(org, id_of(1))
    for number in (6, 7):
        put(make_entry(org, number), vector=None, max_entries=2)
    assert fetch_one(org, id_of(1)) is None


def test_counting_a_use_does_not_restore_a_removed_entry(org: int) -> None:
    stored(org)
    entries.touching(org, ID).run()
    entries.touching(org, ID).run()
    l1.clear()
    found = fetch_one(org, ID)
    assert found is not None
    assert found.hits == 2

    clearing.delete(org, ID)
    entries.touching(org, ID).run()
    assert keys_of(org) == {"state", "log"}


def test_a_blocked_question_and_the_highest_bar_stay_with_the_entry(org: int) -> None:
    stored(org, bar=0.5)

    assert entries.block(org, ID, id_of(8), 0.9)
    assert entries.block(org, ID, id_of(9), 0.8)

    found = fetch_one(org, ID)
    assert found is not None
    assert (found.blocked, found.bar) == (frozenset({id_of(8), id_of(9)}), 0.9)
    assert not entries.block(org, id_of(5), id_of(8), 0.9)


def test_a_stale_copy_is_not_served(org: int) -> None:
    stored(org, tags=("t",))
    changes: list[Callable[[], object]] = [
        lambda: entries.block(org, ID, id_of(8), 0.9),
        lambda: entries.pin(org, ID),
        lambda: entries.unpin(org, ID),
        lambda: stored(org, tags=("t",), latency_ms=5),
        lambda: clearing.clear_tags(org, ["t"]),
    ]
    for change in changes:
        before = fetch_one(org, ID)
        change()
        assert fetch_one(org, ID) != before


def test_an_unchanged_entry_is_not_sent_again(org: int) -> None:
    stored(org)
    first = fetch_one(org, ID)

    assert fetch_one(org, ID) is first


def test_a_copy_from_before_redis_lost_everything_is_not_served(org: int, redis_url: str) -> None:
    stored(org, latency_ms=1)
    fetch_one(org, ID)
    Redis.from_url(redis_url).flushall()
    assert fetch_one(org, ID) is None

    stored(org, latency_ms=2)
    found = fetch_one(org, ID)
    assert found is not None
    assert found.latency_ms == 2


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("response", b"\x00not zlib"),
        ("response", zlib.compress(b'{"content": 5}')),
        ("usage", b'{"apples": 1}'),
        ("usage", b'{"input": "many"}'),
        ("usage", b"[]"),
        ("tags", b"{"),
        ("created_ms", b"soon"),
        ("question", b"\xff"),
        ("stamp", None),
        ("expires_ms", None),
        ("written", b"x"),
        ("partition", b"else"),
    ],
)
def test_a_broken_entry_is_a_miss(org: int, field: str, value: bytes | None) -> None:
    stored(org)
    key = f"sc:{{{org}}}:e:{ID}"
    bytes_client().hdel(key, field) if value is None else bytes_client().hset(key, field, value)

    assert fetch_valid(org, PARTITION, [ID]) == {}


def test_an_entry_without_a_vector_waits_until_it_gets_one(org: int) -> None:
    put(make_entry(org, 1), vector=None)
    put(make_entry(org, 2), vector=None, by_meaning=False)
    assert [entry.id for entry in waiting_for_vectors(org)] == [ID]

    assert entries.add_vector(org, ID, vector_of(1))

    assert bytes_client().hlen(f"sc:{{{org}}}:v:{PARTITION}") == 1
    assert waiting_for_vectors(org) == []
    assert not entries.add_vector(org, ID, vector_of(1))
    assert not entries.add_vector(org, id_of(2), vector_of(2))


def test_a_cleared_entry_is_not_served_before_its_removal(org: int) -> None:
    stored(org, 1, tags=("x",))
    stored(org, 2)
    assert fetch_one(org, id_of(1))
    run("mark_cleared", org, user_tag("x"))

    assert list(fetch_valid(org, PARTITION, [id_of(1), id_of(2)])) == [id_of(2)]
    l1.clear()
    assert fetch_one(org, id_of(1)) is None
    assert janitor.clean_up(org) == 1
    stored(org, 1, tags=("x",))
    assert fetch_one(org, id_of(1))
