"""Invalid provider answers, from the real adapters to the rows of both databases."""

from collections.abc import Callable, Iterator

import pytest

from aiinfra.tenants.models import Organization
from cost_app.fallback.manage import use_defaults
from cost_app.models import Attempt, LedgerEntry
from queue_app.models import AIRequest, RequestContent, Status
from queue_app.ordering.claims import Claim, claim_next
from queue_app.packing import unpack
from queue_app.processing import provider_call
from queue_app.processing.provider_call import process
from queue_app.submission.submission import Submission
from queue_app.submission.submit import submit
from tests.providers.fake_server import FakeServer, fake_server, http

Claimed = Callable[..., Claim]
pytestmark = pytest.mark.usefixtures("scoped", "no_fallback")
USAGE = {"prompt_tokens": 20, "completion_tokens": 10, "total_tokens": 30}
COST = 20 * 140 + 10 * 280


@pytest.fixture
def fake(queue: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeServer]:
    """The provider that `process` calls, over HTTP."""
    with fake_server() as running:
        adapter = running.adapter()
        monkeypatch.setattr(provider_call, "close_old_connections", lambda: None)
        monkeypatch.setattr(provider_call, "adapter_for", lambda _name: adapter)
        yield running


def answers(content: object, reason: object = "stop") -> bytes:
    return http({"choices": [{"message": {"content": content}, "finish_reason": reason}], "usage": USAGE})


def content_of(request: AIRequest) -> str:
    return str(unpack(RequestContent.objects.get(request_id=request.id).response or b"")["content"])


@pytest.mark.parametrize("content", ["nul \0 nul", "half \ud800 a pair", [{"type": "text", "text": "nul \0"}]])
def test_followers_get_an_answer_with_unstorable_characters_cleaned(
    fake: FakeServer, organization: Organization, content: object
) -> None:
    fake.will_answer(answers(content))
    messages = [{"role": "user", "content": "How do I plan a garden?"}]
    submission = Submission(organization.pk, "deepseek", "deepseek-chat", messages)
    leader, follower = submit(submission), submit(submission)
    claim = claim_next("worker")
    assert claim
    process(claim)
    later = submit(submission)
    rows = {row.id: row for row in AIRequest.objects.all()}
    assert [rows[each.id].status for each in (leader, follower, later)] == [Status.COMPLETED] * 3
    assert [rows[each.id].cached for each in (leader, follower, later)] == [False, True, True]
    assert len({content_of(each) for each in (leader, follower, later)}) == 1
    assert "\ufffd" in content_of(follower)


def test_an_error_text_with_unstorable_characters_fails_once_and_costs_nothing(
    fake: FakeServer, claimed: Claimed
) -> None:
    fake.will_answer(http({"error": {"message": "bad \0 \ud800", "type": "x\0"}}, 400))
    process(claimed())
    request = AIRequest.objects.get()
    assert (request.status, request.error_code, request.crashes) == (Status.FAILED, "INVALID_REQUEST", 0)
    assert (len(fake.bodies), Attempt.objects.get().cost_nano) == (1, 0)


@pytest.mark.parametrize(("content", "reason"), [("", "stop"), ("Hi.", None), ("Hi.", "error")])
def test_an_empty_answer_is_retried_and_every_call_is_booked(
    fake: FakeServer, claimed: Claimed, content: str, reason: object
) -> None:
    fake.will_answer(answers(content, reason))
    process(claimed(max_retries=1))
    request = AIRequest.objects.get()
    assert (request.status, request.attempt_number) == (Status.PENDING, 2)
    assert sum(LedgerEntry.objects.values_list("nano", flat=True)) == COST
    assert Attempt.objects.get(number=1).error_code == "EMPTY_ANSWER"


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (404, {"error": {"code": "model_not_found"}}),
        (400, {"error": {"code": "context_length_exceeded"}}),
        (413, {"error": {"message": "too large"}}),
    ],
)
def test_errors_specific_to_a_model_go_to_the_fallback(
    fake: FakeServer, claimed: Claimed, organization: Organization, status: int, body: object
) -> None:
    use_defaults(organization_id=organization.pk, enabled=True, actor="test")
    fake.will_answer(http(body, status))
    process(claimed())
    second = Attempt.objects.get(number=2)
    assert (second.provider, second.model) != ("deepseek", "deepseek-chat")
    assert Attempt.objects.get(number=1).cost_nano == 0
