"""What `manage.py check` looks at."""

from django.contrib.admin.sites import all_sites
from django.core.checks import run_checks


def test_django_finds_nothing_wrong_with_pages_and_admin() -> None:
    assert all(len(site._registry) > 10 for site in all_sites)
    assert not run_checks()
