"""Provider limits in the index: a claim skips requests whose provider accepts no more calls this minute.

The scripts in `lua/` enforce them. This module loads the limits into Redis and, after a data loss, the calls that count
against them.
"""

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import Q
from redis.exceptions import RedisError

from aiinfra.redis import redis_client
from aiinfra.tenants.scope import system_scope
from cost_app import create_cost_optimizer
from queue_app.ordering import index
from queue_app.ordering.index import PREFIX

logger = logging.getLogger(__name__)
cost = create_cost_optimizer()

WINDOW_S = 61
"""As in `lua/_common.lua`."""


@dataclass(frozen=True)
class LimitUse:
    """A limit, and how many calls count against it now: those of the last minute and those about to be sent.

    `name` is `provider/model`, or `provider/` for the provider's other models.
    """

    name: str
    per_minute: int
    used: int

    @property
    def percent(self) -> int:
        """Percent of the limit in use, at most 100."""
        return min(100, 100 * self.used // self.per_minute)


def enter_limits() -> None:
    """Load the limits into Redis if it has different ones. Raises RedisError."""
    limits = {name: str(most) for name, most in cost.rate_limits().items()}
    if redis_client().hgetall(PREFIX + "limits") != limits:
        index.run("set_limits", [each for limit in limits.items() for each in limit])


def limit_of(model: str, limits: Mapping[str, int | str]) -> str | None:
    """The limit that calls of `provider/model` count against; None if there is none. As in `lua/_common.lua`."""
    aliased = limits.get(model)
    name = aliased if isinstance(aliased, str) else model
    if name not in limits:
        name = model.partition("/")[0] + "/"
    return name if limits.get(name) else None


def announce_limits() -> None:
    """Apply saved limits from the next claim. If Redis is down, index repair does it later."""
    try:
        enter_limits()
    except RedisError:
        logger.warning("provider limits not loaded into Redis; index repair loads them later", exc_info=True)


def record_calls() -> None:
    """Count the last minute's calls against their limits again, after Redis lost them. Raises RedisError."""
    with system_scope():
        sent = cost.sent_within(WINDOW_S)
    index.run("record_calls", [each for model, call_id, at in sent for each in (model, str(call_id), at.timestamp())])


def limit_uses() -> dict[str, LimitUse]:
    """Every limit in force, by name. Raises RedisError."""
    found = index.run("limit_use")
    return {name: LimitUse(name, int(most), int(used)) for name, most, used in _groups(found, 3)}


def waiting_for_limits(organization_ids: Iterable[int]) -> dict[str, int]:
    """Ready requests of the given organizations whose model is at its limit, by `provider/model`. Raises RedisError."""
    waiting: dict[str, int] = {}
    for model, count in _groups(index.run("limited", list(organization_ids)), 2):
        waiting[model] = waiting.get(model, 0) + int(count)
    return waiting


def calling(models: Iterable[str]) -> Q:
    """The requests whose current attempt calls one of these models, each `provider/model`."""
    names = list(models)
    found = Q(next_model__in=names)
    for name in names:
        provider, _, model = name.partition("/")
        found |= Q(next_model="", provider=provider, model=model)
    return found


def _groups(flat: Sequence[Any], size: int) -> Iterator[tuple[Any, ...]]:
    """A script's flat reply as rows of `size` columns."""
    return zip(*[iter(flat)] * size, strict=True)
