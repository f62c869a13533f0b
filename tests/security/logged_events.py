"""Entries in the security log."""

from aiinfra.tenants.security_log.events import Event
from aiinfra.tenants.security_log.models import SecurityEvent
from aiinfra.tenants.security_log.recorder import record


def write(number: int = 3) -> list[SecurityEvent]:
    return [record(Event.LOG_IN_FAILED, actor=f"user:{each}", details={"tries": each}) for each in range(number)]
