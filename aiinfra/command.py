"""The base class of our management commands."""

from django.core.management.base import BaseCommand


class Command(BaseCommand):
    """Skips Django's system checks: they load all pages, which doubles the CPU time of a start.

    `make check` runs them, and the settings are validated at every start.
    """

    requires_system_checks: list[str] = []
