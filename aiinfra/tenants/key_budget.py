"""The initial budget of a new API key. The cost engine, which depends on this app, registers how to set it."""

from dataclasses import dataclass
from typing import Protocol

from aiinfra.tenants.models import ApiKey

PERIODS = {"daily": "Per day", "weekly": "Per week", "monthly": "Per month"}
DOLLARS_BELOW = 100_000_000


@dataclass(frozen=True)
class KeyBudget:
    """A limit in nano-dollars for each period. Calls that exceed it are refused."""

    limit_nano: int
    period: str


class SetKeyBudget(Protocol):
    """Sets the budget of a key, within the caller's transaction."""

    def __call__(self, key: ApiKey, budget: KeyBudget, actor: str) -> None: ...


_setters: list[SetKeyBudget] = []


def set_with(setter: SetKeyBudget) -> None:
    """Register how to set a key's budget."""
    _setters[:] = [setter]


def set_key_budget(key: ApiKey, budget: KeyBudget, actor: str) -> None:
    """Give a key its budget."""
    [setter] = _setters
    setter(key, budget, actor)
