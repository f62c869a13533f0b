"""Turns validated payloads into submissions, for every entry point."""

from collections.abc import Mapping

from aiinfra.providers.base import Dialect
from aiinfra.providers.dialects.choosing import check_expressible
from aiinfra.providers.dialects.rejections import CallRejectedError
from aiinfra.python_api import InvalidValueError
from aiinfra.tenants.key_limits import NO_LIMITS, KeyLimits
from queue_app.models import Priority
from queue_app.payloads import CallOptions
from queue_app.submission.submission import Submission
from queue_app.webhooks import check_webhook

NO_HEADERS: Mapping[str, str] = {}


def submission_from(
    options: CallOptions,
    *,
    organization_id: int,
    provider: str,
    model: str,
    alias: str = "",
    api_key_id: int | None = None,
    key_limits: KeyLimits = NO_LIMITS,
    log_in: str = "",
    idempotency_key: str | None = None,
    dialect: Dialect = Dialect.OPENAI,
    headers: Mapping[str, str] = NO_HEADERS,
    key_webhook: str = "",
) -> Submission:
    """The submission that a client sent. `log_in` is the user if the client names none, and `key_webhook` the webhook.

    Raises InvalidValueError for a call that cannot be made, or not at a cost with a maximum.
    """
    messages = [message.model_dump(exclude_unset=True) for message in options.messages]
    try:
        check_expressible(provider, dialect, messages, options.parameters)
    except CallRejectedError as error:
        raise InvalidValueError(error.param, error.message) from None
    if options.webhook is not None:
        check_webhook(options.webhook, api_key_id)
    return Submission(
        organization_id=organization_id,
        provider=provider,
        model=model,
        alias=alias,
        messages=messages,
        priority=Priority[options.priority.upper()],
        api_key_id=api_key_id,
        key_limits=key_limits,
        user_ref=options.user_id or log_in,
        conversation_id=options.conversation_id,
        max_retries=options.max_retries,
        timeout_ms=options.timeout,
        temperature=options.temperature,
        max_tokens=options.max_tokens,
        service_tier=options.service_tier,
        parameters=options.parameters,
        dialect=dialect,
        headers=headers,
        tags=options.tags,
        metadata=options.metadata,
        cache_mode=options.cache,
        context_key=options.context_key,
        webhook=options.webhook or key_webhook,
        idempotency_key=idempotency_key,
    )
