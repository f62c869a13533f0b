"""Which parameters a model accepts: known model families, and what servers have rejected.

A server that rejects a parameter with 400 or 422 has done no work and charges nothing. The call is repeated within the
same attempt, with the parameter renamed or left out; if that succeeds, all processes remember it for `KEPT_S`. The
token limit is renamed but never left out, because the reservation is based on it.
"""

import hashlib
import json
import logging
import re
import time
from dataclasses import asdict, dataclass, replace
from typing import Any

import httpx2
from redis import RedisError

from aiinfra.providers.registry import Provider
from aiinfra.redis import redis_client

logger = logging.getLogger(__name__)

CHANGES_MAX = 3
"""Per call: the token limit, the temperature and the tier are the only parameters besides the messages."""
KEPT_S = 7 * 86_400
"""After a week the default is tried again, because servers learn new parameters."""
CACHED_S = 60.0
REMEMBERED_MAX = 1000

OLD_LIMIT, NEW_LIMIT, TEMPERATURE = "max_tokens", "max_completion_tokens", "temperature"
TIER, STANDARD_TIER = "service_tier", "default"
# OpenAI's reasoning models reject `max_tokens`; other servers may silently ignore `max_completion_tokens`.
HOST_OF_NEW_LIMIT = "api.openai.com"
_TAKES_NEW_LIMIT = re.compile(r"(o[1-9]|gpt-[5-9])(?![0-9])")
_TAKES_NO_TEMPERATURE = re.compile(r"o[1-9](?![0-9])")
_VALUE_OUT_OF_RANGE = re.compile(
    r"too (large|small|high|low|big)|at (most|least)|between|(less|greater|more) than|\brange\b|exceeds?\b|up to"
    r"|min(imum)? (value|is|allowed)|max(imum)? (value|is|allowed)|<=|>=|\d >|> \d|[\[(]-?\d[\d.]*, ?-?\d"
    r"|(non-?)?(negative|positive)|above|below|beyond|(?<![\w.:-])(?!4\d\d\b)\d{2,7}(?![\w.:-])"
)
"""Matches errors about a parameter's value: dropping the parameter would silently use another value."""


@dataclass(frozen=True)
class Rules:
    """The name of the token limit, and whether the model accepts a temperature and a service tier."""

    limit: str = OLD_LIMIT
    takes_temperature: bool = True
    takes_tier: bool = True

    def arguments(self, max_tokens: int, temperature: float | None, tier: str | None = None) -> dict[str, Any]:
        """The parameters of a call under these rules."""
        sent: dict[str, Any] = {self.limit: max_tokens}
        if temperature is not None and self.takes_temperature:
            sent[TEMPERATURE] = temperature
        if tier is not None and self.takes_tier:
            sent[TIER] = STANDARD_TIER if tier == "standard" else tier
        return sent

    def after_refusal(self, words: str, temperature: float | None, tier: str | None = None) -> "Rules | None":
        """The rules to try after a 400 or 422 that rejects a parameter that was sent; None for another error."""
        words = words.lower()
        if tier is not None and self.takes_tier and TIER in words:
            return replace(self, takes_tier=False)
        if _VALUE_OUT_OF_RANGE.search(words):
            return None
        if temperature is not None and self.takes_temperature and TEMPERATURE in words:
            return replace(self, takes_temperature=False)
        if re.search(rf"\b{self.limit}\b", words):
            return replace(self, limit=NEW_LIMIT if self.limit == OLD_LIMIT else OLD_LIMIT)
        return None


_remembered: dict[str, tuple[float, Rules]] = {}
"""By key: the answer of Redis, and the monotonic time until which it is cached."""


def rules_for(provider: Provider, model: str) -> Rules:
    """The known rules of a model. While Redis is down: what this process has learned, or the default of the model
    family.
    """
    key, now = _key(provider, model), time.monotonic()
    until, rules = _remembered.get(key, (0.0, None))
    if rules is None or until <= now:
        rules = _learned(key) or rules or _of_family(provider, model)
        _note(key, rules)
    return rules


def remember(provider: Provider, model: str, rules: Rules) -> None:
    """Store rules that led to an answer after others had been rejected."""
    key, value = _key(provider, model), asdict(rules)
    logger.info(
        "the provider rejected a parameter; future calls adapt it",
        extra={"fields": {"provider": provider.name, "model": model, **value}},
    )
    _note(key, rules)
    try:
        redis_client().set(key, json.dumps(value), ex=KEPT_S)
    except RedisError:
        logger.warning("could not share parameter rules with other processes: Redis is down")


def _note(key: str, rules: Rules) -> None:
    if len(_remembered) >= REMEMBERED_MAX:
        _remembered.clear()
    _remembered[key] = (time.monotonic() + CACHED_S, rules)


def _learned(key: str) -> Rules | None:
    try:
        text = redis_client().get(key)
        known = json.loads(text) if text else None
    except (RedisError, ValueError):
        return None
    if not isinstance(known, dict) or known.get("limit") not in {OLD_LIMIT, NEW_LIMIT}:
        return None
    takes = (known.get(name) is not False for name in ("takes_temperature", "takes_tier"))
    return Rules(known["limit"], *takes)


def _of_family(provider: Provider, model: str) -> Rules:
    name = model.lower().rpartition("/")[2]  # gateways prefix the vendor
    at_openai = httpx2.URL(provider.base_url).host == HOST_OF_NEW_LIMIT
    plays_openai = provider.name == "openai" and provider.sandbox_url is not None
    takes_new = at_openai or plays_openai or _TAKES_NEW_LIMIT.match(name)
    return Rules(NEW_LIMIT if takes_new else OLD_LIMIT, not _TAKES_NO_TEMPERATURE.match(name))


def _key(provider: Provider, model: str) -> str:
    """Includes the address: another server with the same provider name has other rules."""
    digest = hashlib.sha256(f"{provider.base_url}\n{model}".encode()).hexdigest()
    return f"aiinfra:parameters:{digest[:32]}"
