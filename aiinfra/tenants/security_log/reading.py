"""Recording who read prompts and answers."""

from aiinfra.tenants.authorization import Principal
from aiinfra.tenants.security_log import recorder, repeats
from aiinfra.tenants.security_log.events import Event


def note_reading(principal: Principal, target: str) -> None:
    """Record that the caller was shown prompts or answers of the target, such as `request <id>`.

    Each reading by a person is an event; those by an API key are counted by the minute, because programs poll.
    """
    fields = {"actor": principal.actor, "organization": principal.organization_slug, "target": target}
    if principal.api_key_id is None:
        recorder.record(Event.CONTENT_READ, **fields)  # type: ignore[arg-type]
    else:
        repeats.count(Event.CONTENT_READ, **fields)
