"""What real processes race for in the queue; see `tests.support.race`."""

from collections.abc import Iterator

from tests.support.race import Racer, run_racer, tell, wait_for


def accept(_argument: str) -> Iterator[object]:
    """Submit the same body with the same idempotency key."""
    from aiinfra.tenants.models import Organization
    from aiinfra.tenants.scope import organization_scope
    from queue_app.intake import Submission
    from queue_app.intake import accept as accept_submission

    organization = Organization.objects.get()
    messages = [{"role": "user", "content": "Hi"}]
    submission = Submission(organization.pk, "deepseek", "deepseek-chat", messages, idempotency_key="key")
    with organization_scope(organization.pk):
        yield accept_submission(submission).id


def claim(_argument: str) -> Iterator[object]:
    """Claim until nothing is left."""
    from queue_app.claims import claim_next

    while claim := claim_next("racer"):
        yield claim.request.id


def cancel(request_ids: str) -> Iterator[object]:
    """Cancel each of the requests, from the moment on at which one was sent."""
    from aiinfra.tenants.scope import system_scope
    from queue_app import control
    from queue_app.models import AIRequest

    wait_for("sent")
    with system_scope():
        for request in AIRequest.objects.filter(id__in=request_ids.split(",")).order_by("-created_at"):
            try:
                control.cancel(request, actor="user:racer")
                tell("cancelled")
                yield request.id
            except control.WrongStatusError:
                pass


def work(_argument: str) -> Iterator[object]:
    """Process everything with a provider that answers at once; prints the attempts that were sent."""
    from aiinfra.providers.base import ChatAnswer, ChatCall, ProviderAttempt, TokenUsage
    from queue_app import processing
    from queue_app.claims import claim_next

    sent: list[object] = []

    class Provider:
        def chat(self, attempt: ProviderAttempt, _call: ChatCall) -> ChatAnswer:
            sent.append(attempt.id)
            tell("sent")
            if len(sent) > 1:
                wait_for("cancelled")
            return ChatAnswer("Hello.", "stop", TokenUsage(input=20, output=10))

    processing.adapter_for = lambda _name: Provider()  # type: ignore[assignment, return-value]
    while claim := claim_next("racer"):
        processing.process(claim)
    yield from sent


def count(_argument: str) -> Iterator[object]:
    """Count what has ended."""
    from queue_app.counts import count_ended

    yield count_ended()


RACES: dict[str, Racer] = {race.__name__: race for race in (accept, claim, cancel, work, count)}


if __name__ == "__main__":
    run_racer(RACES)
