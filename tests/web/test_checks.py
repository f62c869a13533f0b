"""The checks of `manage.py check`."""

from django.contrib.admin.sites import all_sites
from django.core.checks import run_checks


def test_django_system_checks_pass() -> None:
    assert all(len(site._registry) > 10 for site in all_sites)
    assert not run_checks()
