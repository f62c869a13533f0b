"""Which models recommendations, downgrades and choices may name."""

from datetime import timedelta

from django.utils import timezone

from aiinfra.providers.registry import is_configured
from cost_app.models import Dimension, RequestClass, UsageDay
from cost_app.policy import policy_of
from cost_app.prices.shipped import SHIPPED_PRICES
from cost_app.recommendations.pricing import Model, WeeklyPrices, weekly_prices

LOOK_BACK = timedelta(days=30)


def candidates(organization_id: int, request_class: str) -> dict[Model, WeeklyPrices]:
    """The chat models that the organization allows for a class, with their prices; only of configured providers.

    If its policy names no models: those it used within 30 days and those that every installation starts with. The price
    book has hundreds more, and a low price does not show what a model can do.
    """
    allowed = allowed_models(organization_id, request_class)
    models = allowed if allowed is not None else familiar_models(organization_id)
    return weekly_prices({(provider, model) for provider, model in models if is_configured(provider)})


def allowed_models(organization_id: int, request_class: str, *, only_named: bool = False) -> set[Model] | None:
    """What the policy allows for a class; None if it allows everything.

    An entry without classes applies to all of them, unless `only_named` asks for those that name the class.
    """
    entries = policy_of(organization_id).allowed_models
    if not entries:
        return None
    default = [] if only_named else RequestClass.values
    return {
        (entry["provider"], entry["model"]) for entry in entries if request_class in (entry.get("classes") or default)
    }


def familiar_models(organization_id: int) -> set[Model]:
    """The shipped models and those that the organization used within 30 days; one query of daily rollups."""
    used = UsageDay.objects.filter(
        organization_id=organization_id, dimension=Dimension.MODEL, day__gte=(timezone.now() - LOOK_BACK).date()
    )
    names = used.order_by().values_list("value", flat=True).distinct()
    shipped = {(price.provider, price.model) for price in SHIPPED_PRICES}
    return shipped | {(provider, model) for provider, _, model in (name.partition("/") for name in names)}
