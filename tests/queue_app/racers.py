"""Steps of the queue that real processes run concurrently; see `tests.support.race`."""

from collections.abc import Iterator

from aiinfra.providers.tokens import count_tokens
from tests.support.race import Racer, run_racer, signal_event, wait_for


def accept(_argument: str) -> Iterator[object]:
    """Submit the same body with the same idempotency key."""
    from aiinfra.tenants.models import Organization
    from aiinfra.tenants.scope import organization_scope
    from queue_app.submission.intake import accept as accept_submission
    from queue_app.submission.submission import Submission

    organization = Organization.objects.get()
    messages = [{"role": "user", "content": "Hi"}]
    submission = Submission(organization.pk, "deepseek", "deepseek-chat", messages, idempotency_key="key")
    with organization_scope(organization.pk):
        yield accept_submission(submission).id


def claim(_argument: str) -> Iterator[object]:
    """Claim until the queue is empty."""
    from queue_app.ordering.claims import claim_next

    while claim := claim_next("racer"):
        yield claim.request.id


def call(_argument: str) -> Iterator[object]:
    """Claim and send until no request may start. Every third claim ends without a call."""
    from types import SimpleNamespace
    from uuid import uuid4

    from queue_app.ordering.claims import claim_next, mark_sent, release

    number = 0
    while claim := claim_next("racer"):
        number += 1
        if number % 3:
            mark_sent(claim, SimpleNamespace(id=uuid4()))  # type: ignore[arg-type]
            yield claim.request.id
        release(claim.entry)


def cancel(request_ids: str) -> Iterator[object]:
    """Cancel each request, once the first call has been sent."""
    from aiinfra.tenants.scope import system_scope
    from queue_app import control
    from queue_app.models import AIRequest

    wait_for("sent")
    with system_scope():
        for request in AIRequest.objects.filter(id__in=request_ids.split(",")).order_by("-created_at"):
            try:
                control.cancel(request, actor="user:racer")
                signal_event("cancelled")
                yield request.id
            except control.WrongStatusError:
                pass


def work(_argument: str) -> Iterator[object]:
    """Process everything with an instant provider. Yields the attempts that were sent."""
    from aiinfra.providers.base import ChatAnswer, ChatCall, ProviderAttempt, TokenUsage
    from queue_app.ordering.claims import claim_next
    from queue_app.processing import provider_call

    sent: list[object] = []

    class Provider:
        def chat(self, attempt: ProviderAttempt, _call: ChatCall) -> ChatAnswer:
            sent.append(attempt.id)
            signal_event("sent")
            if len(sent) > 1:
                wait_for("cancelled")
            return ChatAnswer("Hello.", "stop", TokenUsage(input=20, output=10))

    provider_call.adapter_for = lambda _name: Provider()  # type: ignore[assignment, return-value]
    while claim := claim_next("racer"):
        provider_call.process(claim)
    yield from sent


def dequeue(_argument: str) -> Iterator[object]:
    """Dequeue for a caller, but extend the lease only after another process has taken the request over."""
    from queue_app.facade import AIRequestQueue
    from queue_app.ordering import claims

    hold = claims.hold_for_caller

    def frozen(claim: claims.Claim) -> None:
        signal_event("claimed")
        wait_for("taken over")
        hold(claim)

    claims.hold_for_caller = frozen
    queued = AIRequestQueue().dequeue()
    signal_event("held")
    yield queued.claim.attempt_number if queued else None


def take_over_claim(_argument: str) -> Iterator[object]:
    """Take over the other process's claim. Yields the attempt, and whether its lease is unchanged in the end."""
    from django.utils import timezone

    from aiinfra.tenants.scope import system_scope
    from queue_app.models import AIRequest
    from queue_app.ordering.claims import claim_next
    from queue_app.repair.index_repair import recover_expired_leases

    wait_for("claimed")
    with system_scope():
        AIRequest.objects.update(lease_until=timezone.now().replace(year=2020))
        recover_expired_leases()
    claim = claim_next("successor")
    with system_scope():
        before = AIRequest.objects.get().lease_until
        signal_event("taken over")
        wait_for("held")
        yield claim.attempt_number if claim else None
        yield AIRequest.objects.get().lease_until == before


def count(_argument: str) -> Iterator[object]:
    """Count ended requests."""
    from queue_app.stats.outcome_counts import count_ended

    yield count_ended()


RACES: dict[str, Racer] = {
    race.__name__: race for race in (accept, claim, call, cancel, work, dequeue, take_over_claim, count)
}


if __name__ == "__main__":
    run_racer(RACES, prepare=lambda: count_tokens(""))
