"""The base class of our management commands."""

from django.core.management.base import BaseCommand


class Command(BaseCommand):
    """Starts without Django's system checks: they load all pages, which double a start's CPU time.

    `make check` runs them, and the settings check themselves at every start.
    """

    requires_system_checks: list[str] = []
