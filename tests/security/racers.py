"""Concurrent processes that write to the logs; see `tests.support.race`. Their argument is the organization's slug."""

from collections.abc import Iterator

from tests.support.race import Racer, run_racer

EVENTS = 25


def write(slug: str) -> Iterator[object]:
    """Append events to the security log and to the organization's audit log."""
    from aiinfra.tenants import audit
    from aiinfra.tenants.models import Organization
    from aiinfra.tenants.security_log.recorder import record

    organization_id = Organization.objects.get(slug=slug).pk
    for number in range(EVENTS):
        record("login.failed", actor="user:x", target=str(number))
        audit.record(organization_id=organization_id, actor="user:x", verb="member.added", target=str(number))
        yield number


RACES: dict[str, Racer] = {"write": write}


if __name__ == "__main__":
    run_racer(RACES)
