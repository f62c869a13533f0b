"""Sets provider limits and moves their windows."""

from collections.abc import Callable, Iterable

from aiinfra.redis import redis_client
from cost_app.models import ProviderLimit
from queue_app.models import AIRequest
from queue_app.ordering import index, provider_limits
from queue_app.ordering.claims import Claim, claim_next
from queue_app.processing.provider_call import process

Submit = Callable[..., AIRequest]
CHAT = "deepseek/deepseek-chat"


def limit(name: str, per_minute: int | None) -> None:
    """Save a limit as staff does in the admin."""
    provider, _, model = name.partition("/")
    ProviderLimit.objects.update_or_create(
        provider=provider, model=model, defaults={"requests_per_minute": per_minute, "changed_by": "user:staff"}
    )
    provider_limits.enter_limits()


def expire_minute_window() -> None:
    """The scripts use Redis's clock, so this shifts the recorded calls instead."""
    for key in redis_client().scan_iter(f"{index.PREFIX}calls:*"):
        for member, at in redis_client().zrange(key, 0, -1, withscores=True):
            redis_client().zadd(key, {member: at - provider_limits.WINDOW_S})


def started() -> list[AIRequest]:
    """Claims until no request may start."""
    return [claim.request for claim in iter(lambda: claim_next("worker"), None)]


def run(claims: Iterable[Claim | None]) -> None:
    for claim in claims:
        assert claim is not None
        process(claim)
