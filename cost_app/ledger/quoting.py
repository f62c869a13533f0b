"""What a call would cost, and whether the budgets have room for it. Nothing is booked."""

from dataclasses import dataclass

from django.db import transaction

from aiinfra.providers.base import TokenUsage
from cost_app.ledger.admission import AttemptOrder, plan
from cost_app.prices.pricing import cost_of
from cost_app.prices.prompt_size import estimated_tokens
from cost_app.recommendations.measurements import ASSUMED_USAGE, usage_of_class


@dataclass(frozen=True)
class Quote:
    """The costs of one call in nano-dollars.

    `low` is the prompt with a one-token answer, `expected` has an answer of the usual length for its class, `most` is
    what would be held. `left_nano` is the room in the tightest budget that counts the call, None without a budget that
    blocks.
    """

    provider: str
    model: str
    low_nano: int
    expected_nano: int
    most_nano: int
    left_nano: int | None

    @property
    def fits(self) -> bool:
        """Whether the budgets would admit the call."""
        return self.left_nano is None or self.most_nano <= self.left_nano


def quote(order: AttemptOrder) -> Quote:
    """The costs of a call as it would be admitted now, perhaps with the cheaper model that a budget selects.

    Raises ModelNotPricedError. The windows that it opens are rolled back.
    """
    with transaction.atomic():
        planned = plan(order)
        transaction.set_rollback(True)
    attempt, most = planned.attempt, planned.attempt.bound_nano
    low, expected = (
        (min(most, cost_of(usage, attempt.price)) for usage in _usages(planned.order, attempt.model))
        if attempt.price
        else (0, 0)
    )
    return Quote(attempt.provider, attempt.model, low, expected, most, planned.left_nano)


def _usages(order: AttemptOrder, model: str) -> tuple[TokenUsage, TokenUsage]:
    """The least, and what is usual for the class."""
    prompt = estimated_tokens(order.messages, order.parameters, model)
    usual = usage_of_class(order.organization_id, order.request_class) or ASSUMED_USAGE
    return (
        TokenUsage(input=prompt, output=min(1, order.max_tokens)),
        TokenUsage(input=prompt, output=min(usual.output, order.max_tokens)),
    )
