"""The Redis index of the queue: which request is best now. Everything here can be lost and is rebuilt from the rows.

score = time of acceptance - head start of the priority. A score never changes, so waiting requests age relative to new
ones at one second per second: high-priority requests can overtake a low one for at most the difference of their head
starts.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID

from django.conf import settings
from redis.commands.core import Script

from aiinfra import database_time
from aiinfra.live_events import CHANNEL
from aiinfra.redis import ScriptCall, exchange, redis_client
from queue_app.models import AIRequest, Priority, QueuePolicy

PREFIX = "{aiq}:"
LUA = Path(__file__).parent / "lua"
ADMIT_BATCH = 500
WEIGHTS = tuple(Priority.values)
"""Django computes `values` at each access, which would be 1% of accepting a request."""
LAYOUT = "2"
"""Changes with the keys and members that the scripts write, so that an earlier release's index is rebuilt."""


@dataclass(frozen=True)
class IndexEntry:
    """A request's name in the index.

    `model` is `provider/model` of the call to be made, and `limit` the provider limit that a claimed call counts
    against ("": none). Neither is part of the name.
    """

    organization_id: int
    priority: int
    request_id: UUID
    model: str = field(default="", compare=False)
    limit: str = field(default="", compare=False)

    def __str__(self) -> str:
        return f"{self.organization_id}:{self.priority}:{self.request_id}"

    @classmethod
    def parse(cls, text: str, model: str = "", limit: str = "") -> "IndexEntry":
        """The inverse of str()."""
        organization_id, priority, request_id = text.split(":")
        return cls(int(organization_id), int(priority), UUID(request_id), model, limit)

    @classmethod
    def of(cls, request: AIRequest) -> "IndexEntry":
        """The entry for a row."""
        return cls(request.organization_id, request.priority, request.id, request.next_call)


@cache
def _script(name: str) -> Script:
    source = (LUA / "_common.lua").read_text() + (LUA / f"{name}.lua").read_text()
    return redis_client().register_script(source)


def run(name: str, arguments: Sequence[str | float] = ()) -> Any:
    """Run one of the scripts in `lua/`. Raises RedisError."""
    return script(name, arguments).run()


def script(name: str, arguments: Sequence[str | float] = (), keys: Sequence[str] = (PREFIX + "heads",)) -> ScriptCall:
    """A call of one of the scripts in `lua/`, for a round trip with others.

    One key says where the script runs. The names of the others are only known inside; they have the same hash tag.
    """
    return ScriptCall(_script(name), keys, arguments)


def score_of(request: AIRequest) -> float:
    """The request's place in the order, in seconds. The smallest goes first."""
    head_start = settings.QUEUE_HEAD_START_S[Priority(request.priority).name.lower()]
    return float(request.created_at.timestamp() - head_start)


def admit(requests: Iterable[AIRequest]) -> None:
    """Add pending requests to the index; adding one twice changes nothing. Raises RedisError."""
    rows = iter(requests)
    while batch := list(islice(rows, ADMIT_BATCH)):
        admitting(batch).run()


def admitting(requests: Sequence[AIRequest]) -> ScriptCall:
    """What `admit` runs for one batch, for a round trip with other scripts."""
    return script("admit", [argument for request in requests for argument in _admission(request)])


def _admission(request: AIRequest) -> Iterator[str]:
    yield str(request.organization_id)
    yield str(request.priority)
    yield str(request.id)
    yield f"{score_of(request):.6f}"
    yield f"{(request.not_before - database_time.now()).total_seconds():.6f}"
    yield request.next_call


def claim() -> IndexEntry | None:
    """Take the best request of all organizations out of the index and reserve a place in its provider limit.

    Requests whose clients wait for their turn go to them (`turns`). Raises RedisError.
    """
    claimed = claiming().run()
    return IndexEntry.parse(*claimed) if claimed else None


def claiming() -> ScriptCall:
    """What `claim` runs, for a round trip with other scripts. Returns the arguments of `IndexEntry.parse`, or None."""
    return script("claim", [settings.QUEUE_IN_FLIGHT_PENALTY_S, horizon_s(), CHANNEL])


def horizon_s() -> float:
    """How much age counts between organizations: the largest head start, so that a low-priority request can catch up.

    Anything that has waited longer counts as equally old. Otherwise a backlog would soon be older than the penalty can
    offset, and everyone else would wait until it is done.
    """
    return max(settings.QUEUE_HEAD_START_S.values())


def release(entries: Iterable[IndexEntry]) -> None:
    """End claims, so that their organizations may start other requests. Raises RedisError."""
    if ended := list(entries):
        releasing(ended).run()


def releasing(entries: Iterable[IndexEntry]) -> ScriptCall:
    """What `release` runs, for a round trip with other scripts."""
    return script("release", [str(entry) for entry in entries])


def hold(entries: Iterable[IndexEntry]) -> None:
    """Restore claims that the index has lost. Raises RedisError."""
    if texts := [text for entry in entries for text in (str(entry), entry.model)]:
        run("hold", texts)


def remove(request: AIRequest) -> None:
    """Remove a request that will not be started. Raises RedisError."""
    organization, priority, request_id, score, _delay_s, model = _admission(request)
    run("remove", [organization, priority, request_id, score, model])


def set_policy(policy: QueuePolicy) -> None:
    """Apply an organization's share, limits and pauses immediately. Raises RedisError."""
    limits, paused = index_terms(policy)
    run("set_policy", [policy.organization_id, *limits, *paused])


def index_terms(policy: QueuePolicy) -> tuple[tuple[int, int, int], frozenset[int]]:
    """What Redis needs from a policy: weight, in-flight limit, limit of waiting requests, and paused priorities."""
    return (policy.weight, policy.max_in_flight, policy.depth_limit), frozenset(policy.paused_priorities)


def known_terms() -> dict[int, tuple[tuple[int, ...], frozenset[int]]]:
    """The policies in force in Redis, by organization ID. Raises RedisError."""
    with redis_client().pipeline(transaction=False) as pipeline:
        pipeline.hgetall(PREFIX + "policy")
        pipeline.smembers(PREFIX + "paused")
        policies, lanes = pipeline.execute()
    paused: dict[int, set[int]] = defaultdict(set)
    for lane in lanes:
        organization_id, priority = map(int, lane.split(":"))
        paused[organization_id].add(priority)
    return {
        int(organization_id): (tuple(map(int, limits.split(":"))), frozenset(paused[int(organization_id)]))
        for organization_id, limits in policies.items()
    }


def is_drained() -> bool:
    """Whether no request is ready, delayed, or waiting for a limit, so that `promote` has nothing to do. Raises
    RedisError.

    A plain command: at a third of the script's CPU, it is what an idle product runs twice per second.
    """
    return not redis_client().exists(*(PREFIX + name for name in ("heads", "delayed", "full")))


def promote() -> int:
    """Make requests ready whose delay or provider-limit wait is over. Returns how many organizations have work to
    start.

    Raises RedisError.
    """
    return int(run("promote"))


def recount() -> None:
    """Recompute the number of requests in flight from the claims. Raises RedisError."""
    run("recount")


def mark_complete() -> None:
    """Record that all rows and policies have been added. Raises RedisError."""
    redis_client().set(PREFIX + "complete", LAYOUT)


def drop_other_layout() -> None:
    """Delete what an earlier release wrote and these scripts would misread. Raises RedisError."""
    client = redis_client()
    if client.get(PREFIX + "complete") in {None, LAYOUT}:
        return
    lanes = list(client.scan_iter(match=PREFIX + "lane*", count=1000))
    client.delete(*lanes, *(PREFIX + name for name in ("heads", "delayed", "depth", "held", "complete")))


class State(NamedTuple):
    """What the index has. `size` is the number of requests in it: waiting, delayed and claimed.

    `is_complete` is False until `mark_complete`, and again after Redis has lost its data.
    """

    is_complete: bool
    size: int


def state() -> State:
    """In one round trip, because it is read every second. Raises RedisError."""
    with redis_client().pipeline(transaction=False) as pipeline:
        pipeline.get(PREFIX + "complete")
        pipeline.zcard(PREFIX + "delayed")
        pipeline.zcard(PREFIX + "claims")
        pipeline.hmget(PREFIX + "depth", WEIGHTS)
        layout, delayed, claims, ready = pipeline.execute()
    return State(layout == LAYOUT, int(delayed) + int(claims) + _sum(ready))


def ready_total() -> int:
    """Requests of all organizations that could start now. Raises RedisError."""
    return _sum(redis_client().hmget(PREFIX + "depth", WEIGHTS))


def _sum(counts: Iterable[str | bytes | None]) -> int:
    return sum(int(count or 0) for count in counts)


def old_claims(seconds: float) -> list[IndexEntry]:
    """Claims older than a number of seconds, by the Redis clock. Raises RedisError."""
    client = redis_client()
    now, _ = client.time()
    return [IndexEntry.parse(str(text)) for text in client.zrangebyscore(PREFIX + "claims", "-inf", now - seconds)]


def depths() -> dict[tuple[int | None, int], int]:
    """Ready requests by (organization ID, priority); organization None is the total. Raises RedisError."""
    counts: dict[tuple[int | None, int], int] = {}
    for lane, count in redis_client().hgetall(PREFIX + "depth").items():
        organization_id, _, priority = str(lane).rpartition(":")
        counts[int(organization_id) if organization_id else None, int(priority)] = int(count)
    return counts


def held() -> dict[int | None, int]:
    """Requests whose next attempt is not due yet, by organization ID; None is the total. Raises RedisError."""
    counts = redis_client().hgetall(PREFIX + "held")
    return {None if owner == "all" else int(owner): int(count) for owner, count in counts.items()}


def room_of(organization_id: int) -> tuple[dict[int, int], int]:
    """An organization's ready requests by priority, and how many may wait. Raises RedisError."""
    lanes = [f"{organization_id}:{weight}" for weight in WEIGHTS]
    counts, policy = exchange([("HMGET", PREFIX + "depth", *lanes), ("HGET", PREFIX + "policy", str(organization_id))])
    depth = {weight: int(count or 0) for weight, count in zip(WEIGHTS, counts, strict=True)}
    return depth, int(policy.split(":")[2]) if policy else QueuePolicy.DEPTH_LIMIT


def position_of(request: AIRequest) -> int:
    """1 for the request that its organization claims next. Requests of other organizations are not counted."""
    organization = request.organization_id
    lanes = redis_client().zrange(f"{PREFIX}lanes:{organization}", 0, -1)
    with redis_client().pipeline(transaction=False) as pipeline:
        for lane in lanes:
            pipeline.zcount(f"{PREFIX}lane:{organization}:" + str(lane), "-inf", f"({score_of(request):.6f}")
        return sum(int(ahead) for ahead in pipeline.execute()) + 1
