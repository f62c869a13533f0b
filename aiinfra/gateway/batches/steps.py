"""The steps of a batch: copy, send, collect, stop, write.

Each is bounded, and can be killed and repeated at any time.
"""

import logging
from dataclasses import replace
from datetime import datetime, timedelta

from django.db.models import Q
from django.utils import timezone

from aiinfra.api import ApiCall
from aiinfra.api_limits import count_call, in_progress
from aiinfra.batches import progress
from aiinfra.batches.models import Batch, BatchLine, BatchStatus, LineState
from aiinfra.batches.progress import Used
from aiinfra.failures import ApiError, failure_of
from aiinfra.gateway import chat
from aiinfra.gateway.batches import line_calls, results
from aiinfra.gateway.batches.line_endpoints import LINE_ENDPOINTS, LineEndpoint
from aiinfra.gateway.batches.webhooks import notify_end
from aiinfra.gateway.v1.running import result_of_ended
from aiinfra.gateway.v1.vendor_endpoint import OpenBody
from aiinfra.one_by_one import AWAY
from aiinfra.tenants.authorization import Principal
from aiinfra.tenants.keys import line_of
from cost_app import create_cost_optimizer
from queue_app.api import contract_errors
from queue_app.facade import (
    ENDED,
    AIRequest,
    Status,
    Submission,
    cancel_live,
    request_by_id,
    request_of_key,
    status_of,
    statuses_among,
)

logger = logging.getLogger(__name__)
cost = create_cost_optimizer()

IN_QUEUE_MAX = 100
"""Lines of one batch that are in the queue at a time."""
SENT_AT_ONCE = 25
PAUSE = timedelta(seconds=1)
AT_ONCE = timedelta(0)
LATER = (429, 503)
"""The queue, the key, or the budget has no room at the moment, so the line waits."""
RETRY_S = 5
NO_RIGHTS = ApiError(401, "unauthorized", "The creator of this batch can no longer send requests.")


class NotNowError(Exception):
    """No further line can be sent before this moment."""

    def __init__(self, until: datetime) -> None:
        super().__init__(until)
        self.until = until


def advance(batch: Batch) -> datetime:
    """Run the next step; returns when to continue."""
    if batch.status == BatchStatus.VALIDATING:
        progress.copy_chunk(batch, notify_end)
        return timezone.now()
    if batch.ended == batch.total:
        return _finish(batch)
    if not batch.is_stopping and batch.expires_at <= timezone.now():
        progress.expire(batch)
    go_on_at = _stop(batch) if batch.is_stopping else _send(batch)
    collect(batch)
    return go_on_at


def _finish(batch: Batch) -> datetime:
    progress.finalize(batch)
    progress.write_results(batch, notify_end)
    return timezone.now()


def _send(batch: Batch) -> datetime:
    """Send the next lines, as many as there is room for."""
    call, endpoint = line_calls.call_of(batch), LINE_ENDPOINTS[batch.endpoint]
    if call is None:
        more = progress.stop_waiting(batch, results.refused(NO_RIGHTS))
        return timezone.now() + (AT_ONCE if more else PAUSE)
    lines = BatchLine.objects.filter(batch=batch)
    at_once = 1 if endpoint.send else SENT_AT_ONCE
    room = _room(batch, call.principal)
    portion = list(lines.filter(state=LineState.WAITING).order_by("number")[: min(at_once, room)])
    try:
        for line in portion:
            send(batch, line, line_calls.call_of_line(call, line), endpoint)
    except NotNowError as wait:
        are_in_queue = lines.filter(state=LineState.SENT).exists()
        return timezone.now() + PAUSE if are_in_queue else min(wait.until, batch.expires_at)
    return timezone.now() + (AT_ONCE if len(portion) == at_once else PAUSE)


def _room(batch: Batch, principal: Principal) -> int:
    """How many more lines may enter the queue. All batches of a key share its limit on concurrent requests.

    Two schedulers that send lines of two batches at the same moment can exceed the key's limit by one portion.
    """
    sent = BatchLine.objects.filter(state=LineState.SENT)
    room = IN_QUEUE_MAX - sent.filter(batch=batch).count()
    if (limit := principal.limits.concurrent_requests) and principal.api_key_id:
        of_key = Q(batch__finished_at=None, batch__api_key__in=line_of(principal.api_key_id))
        room = min(room, limit - sent.filter(of_key).count())
    return max(room, 0)


def send(batch: Batch, line: BatchLine, call: ApiCall, endpoint: LineEndpoint) -> None:
    """Queue a line's request, unless it is already queued, or send it directly. Raises NotNowError.

    A line that is permanently rejected ends with that error.
    """
    if endpoint.send:
        _send_directly(batch, line, call, endpoint)
        return
    key = line_calls.key_of(line)
    try:
        request = request_of_key(key) or _submit(batch, line, call, endpoint)
    except (*AWAY, NotNowError):
        raise
    except Exception as problem:
        known = request_of_key(key)  # another scheduler may have sent it in the meantime
        if known is None:
            _refuse(line, problem)
            return
        request = known
    progress.mark_sent(line, request.id)


def _send_directly(batch: Batch, line: BatchLine, call: ApiCall, endpoint: LineEndpoint) -> None:
    """Send a line and settle it. If the process is killed during the call, the line is sent again."""
    assert endpoint.send is not None  # noqa: S101 - for the type checker: the caller has checked
    reference = line_calls.reference_of(line)
    try:
        with in_progress(call.principal):
            submission, body = _prepared(batch, line, call, endpoint)
            with contract_errors():
                answer = endpoint.send(submission, body, reference)
    except (*AWAY, NotNowError):
        raise
    except Exception as problem:
        _refuse(line, problem, results.used_by_attempts(cost.attempts_of([reference])))
        return
    used = results.used_by_attempts(cost.attempts_of([reference]))
    result = results.answered(answer.model_dump(mode="json"), str(reference))
    progress.settle(line, result, is_completed=True, used=used)


def _refuse(line: BatchLine, problem: Exception, used: Used | None = None) -> None:
    """End a line with its error, or wait if it can be sent later."""
    if not isinstance(problem, ApiError):
        fields = {"batch": str(line.batch_id), "line": line.number}
        logger.error("cannot send a batch line", exc_info=problem, extra={"fields": fields})
    error = problem if isinstance(problem, ApiError) else failure_of(problem)
    if error.status in LATER:
        wait_s = int(error.headers.get("Retry-After", RETRY_S))
        raise NotNowError(timezone.now() + timedelta(seconds=wait_s))
    progress.settle(line, results.refused(error), is_completed=False, used=used)


def _submit(batch: Batch, line: BatchLine, call: ApiCall, endpoint: LineEndpoint) -> AIRequest:
    with contract_errors():
        return chat.ask(_prepared(batch, line, call, endpoint)[0])


def _prepared(batch: Batch, line: BatchLine, call: ApiCall, endpoint: LineEndpoint) -> tuple[Submission, OpenBody]:
    """The call of a line, validated and counted. Raises ApiError, and NotNowError before its off-peak hours."""
    endpoint.check(call)
    body = line_calls.body_of(call, endpoint, line_calls.raw_body(line))
    with contract_errors():
        submission = replace(endpoint.submission(call, body), webhook="")  # the key's is for the whole batch
    if batch.when_cheap:
        begin = cost.off_peak_begin(submission.provider, submission.model, timezone.now())
        if begin and begin < batch.expires_at:
            raise NotNowError(begin)
    count_call(call.principal)
    return submission, body


def collect(batch: Batch) -> None:
    """Settle the lines whose requests have ended."""
    sent = list(BatchLine.objects.filter(batch=batch, state=LineState.SENT).defer("body"))
    known = statuses_among(line.request_id for line in sent if line.request_id)
    for line in sent:
        status = known.get(line.request_id) if line.request_id else None
        if status is None or status in ENDED:
            _settle(batch, line)


def _settle(batch: Batch, line: BatchLine) -> None:
    request = request_by_id(line.request_id) if line.request_id else None
    if request is None:
        gone = ApiError(409, "content_gone", "The request was deleted before its answer was read.")
        progress.settle(line, results.refused(gone), is_completed=False)
        return
    if request.status == Status.CANCELLED and batch.is_stopping:
        reason = results.CANCELLED if batch.cancelling_at else results.EXPIRED
        used = results.used_by(status_of(request, with_content=False))
        progress.settle(line, results.stopped(*reason), is_completed=False, used=used)
        return
    try:
        status = result_of_ended(request)
    except ApiError as error:
        used = results.used_by(status_of(request, with_content=False))
        progress.settle(line, results.refused(error, str(request.id)), is_completed=False, used=used)
        return
    endpoint = LINE_ENDPOINTS[batch.endpoint]
    assert endpoint.answer is not None  # noqa: S101 - for the type checker: only requests of the queue come here
    body = endpoint.payload.model_validate(line_calls.raw_body(line), by_name=False, by_alias=True)
    result = results.answered(endpoint.answer(status, body), str(request.id))
    progress.settle(line, result, is_completed=True, used=results.used_by(status))


def _stop(batch: Batch) -> datetime:
    """End unsent lines and cancel requests that have not started. Those in progress continue."""
    reason = results.CANCELLED if batch.cancelling_at else results.EXPIRED
    more = progress.stop_waiting(batch, results.stopped(*reason))
    sent = BatchLine.objects.filter(batch=batch, state=LineState.SENT).values_list("request_id", flat=True)
    cancel_live(Q(id__in=list(sent), status=Status.PENDING), batch.cancelled_by or "command:scheduler")
    return timezone.now() + (AT_ONCE if more else PAUSE)
