"""The queue's public interface: other apps and Python callers import only this module.

`queue_app.api` is the entry point of its HTTP operations. Besides the queue for Python callers, it exports
the state of one request, for the gateway, and the queue's figures, for monitoring; both need an organization's scope.
"""

from aiinfra.python_api import InvalidValueError, UnknownOptionError, UnknownOrganizationError
from queue_app.erasure import cancel_live, erase_requests, requests_among, until
from queue_app.events import event_of
from queue_app.models import ENDED, AIRequest, Status
from queue_app.ordering.provider_limits import LimitUse, limit_uses
from queue_app.ordering.turns import TURN
from queue_app.payloads import PriorityName
from queue_app.processing.direct import DirectCall, renew_leases
from queue_app.processing.embedding_call import embed
from queue_app.processing.heartbeat import WorkerBeat, workers
from queue_app.processing.provider_call import OutcomeUnstoredError
from queue_app.processing.turn import Turn
from queue_app.python_api import AIRequestQueue, EnqueueOptions, QueuedRequest, RequestNotFoundError
from queue_app.queries import (
    Conversation,
    RequestStatus,
    conversations_of,
    ended_among,
    first_with_key,
    has_ended,
    request_by_id,
    request_of_key,
    status_of,
    statuses_among,
)
from queue_app.repair.stuck import stuck_requests
from queue_app.scheduler import run_scheduler
from queue_app.stats.depth_now import lanes_now, totals_ended
from queue_app.stats.outages import LastFailure, Outage, last_failures, outages
from queue_app.stats.pressure import (
    ERROR_WINDOW,
    Pressure,
    aggregate,
    pressures,
    recent_failures,
    waiting_by_provider,
    waiting_models,
)
from queue_app.stats.summary import QueueStats, has_overdue, held_by_model, limited_of, queue_stats
from queue_app.submission.dry_run import DryRun, dry_run
from queue_app.submission.intake import IdempotencyConflictError, UnknownProviderError
from queue_app.submission.room import QueueFullError
from queue_app.submission.submission import Submission
from queue_app.submission.submit import CacheMissError, submit
from queue_app.webhooks import check_webhook

__all__ = [
    "ENDED",
    "ERROR_WINDOW",
    "TURN",
    "AIRequest",
    "AIRequestQueue",
    "CacheMissError",
    "Conversation",
    "DirectCall",
    "DryRun",
    "EnqueueOptions",
    "IdempotencyConflictError",
    "InvalidValueError",
    "LastFailure",
    "LimitUse",
    "Outage",
    "OutcomeUnstoredError",
    "Pressure",
    "PriorityName",
    "QueueFullError",
    "QueueStats",
    "QueuedRequest",
    "RequestNotFoundError",
    "RequestStatus",
    "Status",
    "Submission",
    "Turn",
    "UnknownOptionError",
    "UnknownOrganizationError",
    "UnknownProviderError",
    "WorkerBeat",
    "aggregate",
    "cancel_live",
    "check_webhook",
    "conversations_of",
    "dry_run",
    "embed",
    "ended_among",
    "erase_requests",
    "event_of",
    "first_with_key",
    "has_ended",
    "has_overdue",
    "held_by_model",
    "lanes_now",
    "last_failures",
    "limit_uses",
    "limited_of",
    "outages",
    "pressures",
    "queue_stats",
    "recent_failures",
    "renew_leases",
    "request_by_id",
    "request_of_key",
    "requests_among",
    "run_scheduler",
    "status_of",
    "statuses_among",
    "stuck_requests",
    "submit",
    "totals_ended",
    "until",
    "waiting_by_provider",
    "waiting_models",
    "workers",
]
