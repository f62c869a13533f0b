"""Makes a direct call for a waiting client, and kills itself at a named point; see `tests.faults.deaths`.

Prints the request's ID after the commit. The second argument is the idempotency key, or "-" for none. Like `crash`,
it replaces functions of the product.
"""

from collections.abc import Callable

from tests.faults.crash import ORGANIZATION, after, before, run_each, within

POINTS = ["before_call", "mid_call", "after_call", "mid_settle", "after_settle"]


def plant(point: str) -> None:
    """Make the process die at the named point."""
    from cost_app.budgets import holds
    from queue_app.processing import outcomes, provider_call

    plants: dict[str, Callable[[], None]] = {
        "before_call": lambda: before(provider_call, "run"),
        "mid_call": lambda: within(provider_call, "_ask"),
        "after_call": lambda: after(provider_call, "_ask"),
        "mid_settle": lambda: before(holds, "close"),
        "after_settle": lambda: before(outcomes, "_left"),
    }
    plants[point]()


def main(point: str, key: str) -> None:
    """What an endpoint does for a waiting client."""
    from aiinfra.gateway.lane import calling
    from aiinfra.tenants.models import Organization
    from aiinfra.tenants.scope import organization_scope
    from cost_app.models import Budget
    from queue_app.facade import DirectCall, Submission, submit

    organization = Organization.objects.get(slug=ORGANIZATION)
    plant(point)
    with organization_scope(organization.pk):
        Budget.objects.get_or_create(
            organization=organization, period="monthly", defaults={"limit_nano": 10**12, "enforcement": "block"}
        )
        call = DirectCall()
        submission = Submission(
            organization_id=organization.pk,
            provider="deepseek",
            model="deepseek-chat",
            messages=[{"role": "user", "content": f"Direct question at {point} with key {key}"}],
            max_tokens=50,
            idempotency_key=None if key == "-" else key,
        )
        request = submit(submission, starter=call)
        assert call.has_started
        print(request.id, flush=True)
        calling.make(call)


if __name__ == "__main__":
    run_each(main)
