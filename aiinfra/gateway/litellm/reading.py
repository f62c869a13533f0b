"""Reads LiteLLM's configuration and exported keys. Pure functions; anything unsupported becomes a note."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Any

from aiinfra.providers.usage.counts import as_whole

READ = {"model_list", "router_settings", "litellm_settings"}
EVERY_MODEL = frozenset({"all-proxy-models", "all-team-models", "*"})
PERIODS = {1: "daily", 7: "weekly", 28: "monthly", 30: "monthly", 31: "monthly"}
"""Days of a budget -> our period."""
SECONDS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 7 * 86_400, "mo": 30 * 86_400}
DAY_S = 86_400
LIMIT_MAX = 1_000_000_000


@dataclass(frozen=True)
class BudgetPlan:
    """A limit in US dollars per period."""

    period: str
    limit: str


@dataclass(frozen=True)
class KeyPlan:
    """A key to create; `budget` counts its calls."""

    name: str
    models: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    concurrent_requests: int | None = None
    budget: BudgetPlan | None = None


@dataclass
class Plan:
    """What can be imported. `notes` say what cannot, by its name in the files."""

    models: dict[str, str] = field(default_factory=dict)
    """Public name -> LiteLLM's model name."""
    fallbacks: dict[str, list[str]] = field(default_factory=dict)
    keys: list[KeyPlan] = field(default_factory=list)
    team_budgets: dict[str, BudgetPlan] = field(default_factory=dict)
    """By tag."""
    notes: list[str] = field(default_factory=list)


def plan_of(config: object, exported: object) -> Plan:
    """The plan for a parsed config.yaml and a parsed export of keys (None without one)."""
    plan = Plan()
    settings = _object(config)
    plan.notes += [f"{name}: not imported" for name in settings if name not in READ]
    _read_models(settings.get("model_list"), plan)
    for section in ("router_settings", "litellm_settings"):
        _read_settings(section, _object(settings.get(section)), plan)
    tags = dict(_read_teams(_object(exported).get("teams"), plan))
    keys = exported if isinstance(exported, list) else _object(exported).get("keys")
    for index, key in enumerate(_list(keys)):
        _read_key(_object(key), f"keys[{index}]", tags, plan)
    return plan


def _read_models(listed: object, plan: Plan) -> None:
    for index, each in enumerate(_list(listed)):
        name, model = _object(each).get("model_name"), _object(_object(each).get("litellm_params")).get("model")
        if not isinstance(name, str) or not isinstance(model, str):
            plan.notes.append(f"model_list[{index}]: it has no model_name or no litellm_params.model")
        elif name in plan.models:
            plan.notes.append(f"model_list[{index}]: {name} has another deployment already; {model} was not imported")
        else:
            plan.models[name] = model


def _read_settings(section: str, settings: Mapping[str, Any], plan: Plan) -> None:
    for name, value in settings.items():
        if name == "fallbacks":
            for each in _list(value):
                plan.fallbacks |= {str(asked): [str(step) for step in _list(to)] for asked, to in _object(each).items()}
        elif name == "model_group_alias":
            for alias, target in _object(value).items():
                named = str(target.get("model") if isinstance(target, Mapping) else target)
                plan.models[str(alias)] = plan.models.get(named, named)
        else:
            plan.notes.append(f"{section}.{name}: not imported")


def _read_teams(teams: object, plan: Plan) -> Iterator[tuple[str, str]]:
    """(Id, tag) of each team."""
    for index, each in enumerate(_list(teams)):
        team = _object(each)
        tag = str(team.get("team_alias") or team.get("team_id") or f"team-{index}")[:64].replace(",", " ").strip()
        if budget := _budget(team, f"team {tag}", plan):
            plan.team_budgets[tag] = budget
        if team.get("models"):
            plan.notes.append(f"team {tag}: its models were not imported; limit its keys instead")
        yield str(team.get("team_id")), tag


def _read_key(key: Mapping[str, Any], place: str, tags: Mapping[str, str], plan: Plan) -> None:
    name = str(key.get("key_alias") or key.get("key_name") or place)[:100]
    if key.get("blocked"):
        plan.notes.append(f"key {name}: it is blocked")
        return
    if key.get("expires"):
        plan.notes.append(f"key {name}: its expiry was not imported; the new key never expires")
    models = tuple(str(model) for model in _list(key.get("models")))
    own = _list(_object(key.get("metadata")).get("tags"))
    team = tags.get(str(key.get("team_id")), key.get("team_id"))
    plan.keys.append(
        KeyPlan(
            name=name,
            models=() if EVERY_MODEL & {*models} else models,
            tags=tuple(str(tag) for tag in ([team] if team else []) + own),
            requests_per_minute=_limit(key, "rpm_limit", name, plan),
            tokens_per_minute=_limit(key, "tpm_limit", name, plan),
            concurrent_requests=_limit(key, "max_parallel_requests", name, plan),
            budget=_budget(key, f"key {name}", plan),
        )
    )


def _budget(owner: Mapping[str, Any], named: str, plan: Plan) -> BudgetPlan | None:
    amount = owner.get("max_budget")
    if amount is None:
        return None
    period = PERIODS.get(_seconds(owner.get("budget_duration")) // DAY_S)
    try:
        limit = round(Decimal(str(amount)), 9)
    except InvalidOperation:
        limit = Decimal(0)
    if period is None or limit.is_nan() or limit <= 0:
        plan.notes.append(f"{named}: the budget of {amount} per {owner.get('budget_duration')} has no equivalent here")
        return None
    return BudgetPlan(period, format(limit.normalize(), "f"))


def _seconds(duration: object) -> int:
    match = re.fullmatch(r"(\d{1,6})(mo|[smhdw])", str(duration))
    return int(match[1]) * SECONDS[match[2]] if match else 0


def _limit(key: Mapping[str, Any], column: str, name: str, plan: Plan) -> int | None:
    """A whole number above 0, which may also be written as `60.0` or `"60"`."""
    value = key.get(column)
    if value is None:
        return None
    limit = as_whole(value) or 0
    if not 0 < limit <= LIMIT_MAX:
        plan.notes.append(f"key {name}: its {column} of {value} was not imported; the new key has no such limit")
        return None
    return limit


def _object(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []
