"""Display names of the actors in the audit log."""

from aiinfra.tenants.models import ApiKey
from aiinfra.timed_cache import TimedCache

REMEMBERED_S = 60.0


def _key_name(key_id: str) -> str:
    return ApiKey.objects.filter(key_id=key_id).values_list("name", flat=True).first() or ""


_key_names = TimedCache(_key_name, seconds=REMEMBERED_S, keeps_empty=False)


def actor_name(actor: str) -> str:
    """The name behind an actor of the audit log: a person's user name, an API key's name, or a command.

    `user:ada@example.com` is "ada@example.com", `key:IeoYbImH` "API key Website", `command:createorg` "the command
    createorg". One query for an API key that was not shown in the last minute, in the caller's scope; none for others.
    """
    kind, _, name = actor.partition(":")
    match kind:
        case "user":
            return name
        case "key":
            return f"API key {_key_names.of(name) or name}"
        case "command":
            return f"the command {name}"
        case _:
            return actor
