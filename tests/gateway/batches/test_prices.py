"""Price changes while a batch is running."""

from dataclasses import replace

from django.db.models import Sum
from django.utils import timezone

from aiinfra.tenants import keys
from aiinfra.tenants.authorization import Role
from aiinfra.tenants.key_limits import KeyLimits
from aiinfra.tenants.models import Organization
from aiinfra.tenants.scope import organization_scope, system_scope
from cost_app.models import Attempt, LedgerEntry, ModelPrice
from cost_app.prices.lookup import clear_price_cache
from cost_app.prices.proposals import add_version
from cost_app.prices.terms import PriceTerms
from tests.api.support import Caller
from tests.gateway.batches.support import create, finish, lines, step, work
from tests.queue_app.conftest import ScriptedProvider

TIMES = 10


def test_each_line_is_charged_at_the_price_when_it_was_sent(
    organization: Organization, provider: ScriptedProvider
) -> None:
    """Two lines are sent before the change, two are accepted before and sent after it, and two come after it."""
    caller = limited_to(organization, 2)
    made = create(caller, lines(6))
    step()
    step()
    assert work() == 2
    step()
    step()
    before = change_prices()
    finish(caller, made["id"])
    with organization_scope(organization.pk):
        attempts = list(Attempt.objects.order_by("dispatched_at").select_related("price"))
        booked = LedgerEntry.objects.aggregate(Sum("nano"))["nano__sum"]
    costs = [attempt.cost_nano for attempt in attempts]
    assert [attempt.price_id in before for attempt in attempts] == [True] * 2 + [False] * 4
    assert costs == [costs[0]] * 2 + [TIMES * costs[0]] * 4
    assert booked == sum(costs) == (2 + 4 * TIMES) * costs[0] > 0


def limited_to(organization: Organization, number: int) -> Caller:
    """A program whose batches have at most `number` lines in the queue."""
    limits = KeyLimits(concurrent_requests=number)
    made = keys.create_key(organization=organization, name="bot", role=Role.OPERATOR, limits=limits, actor="test")
    return Caller(key=made[1])


def change_prices() -> set[int]:
    """Multiply the model's current prices. Returns the IDs of the previous versions."""
    with system_scope():
        earlier = list(ModelPrice.objects.filter(model="deepseek-chat", effective_to=None))
    for row in earlier:
        terms = PriceTerms.of(row)
        amounts = {name: TIMES * getattr(terms, name) for name in ("input", "cache_read", "cache_write", "output")}
        add_version(terms=replace(terms, **amounts), effective_from=timezone.now(), actor="user:staff")
    clear_price_cache()
    return {row.pk for row in earlier}
