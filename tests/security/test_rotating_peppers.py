"""API keys keep working while the pepper is rotated."""

from io import StringIO

import pytest
from django.core.management import call_command
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries
from pytest_django.fixtures import Settings

from aiinfra import timed_cache
from aiinfra.stack.doctor import examine
from aiinfra.tenants import key_authentication, key_text, keys, peppers
from aiinfra.tenants.authorization import Role
from aiinfra.tenants.models import ApiKey, Organization
from aiinfra.tenants.scope import system_scope

Key = tuple[ApiKey, str]


@pytest.fixture
def key(organization: Organization) -> Key:
    return keys.create_key(organization=organization, name="bot", role=Role.VIEWER, actor="command:test")


def works(text: str) -> bool:
    """Whether a process with an empty cache accepts the key."""
    timed_cache.clear_all()
    return key_authentication.authenticate(f"Bearer {text}") is not None


def change_pepper(settings: Settings, *, keep: bool = True) -> None:
    fallbacks = [settings.API_KEY_PEPPER, *settings.API_KEY_PEPPER_FALLBACKS] if keep else []
    settings.API_KEY_PEPPER, settings.API_KEY_PEPPER_FALLBACKS = f"{settings.API_KEY_PEPPER}-next", fallbacks


def check() -> tuple[str, int]:
    """The output of `rotatesecrets --check` and its exit status."""
    output, status = StringIO(), 0
    try:
        call_command("rotatesecrets", "--check", stdout=output)
    except SystemExit as end:
        status = int(str(end.code))
    return output.getvalue(), status


def findings() -> str:
    return "\n".join(f"{finding.level} {finding.text}" for finding in examine())


def test_key_works_with_the_fallback_pepper_and_without_it_after_one_use(key: Key, settings: Settings) -> None:
    change_pepper(settings)
    change_pepper(settings)
    assert works(key[1])
    settings.API_KEY_PEPPER_FALLBACKS = []
    assert works(key[1])


def test_doctor_reports_keys_whose_pepper_is_lost(key: Key, settings: Settings) -> None:
    change_pepper(settings, keep=False)
    assert not works(key[1])
    assert "FAILED 1 API keys do not work" in findings()


def test_check_counts_keys_that_need_the_fallback(key: Key, settings: Settings) -> None:
    assert check()[1] == 0
    change_pepper(settings)
    output, status = check()
    assert (status, "API keys: 0 current, 1 that need API_KEY_PEPPER_FALLBACKS" in output) == (1, True)
    assert "note 1 API keys need API_KEY_PEPPER_FALLBACKS until their next use" in findings()
    works(key[1])
    output, status = check()
    assert (status, "API keys: 1 current, 0 that need" in output) == (0, True)


def test_revoked_keys_are_not_counted(key: Key, settings: Settings) -> None:
    with system_scope():
        ApiKey.objects.update(revoked_at=timezone.now())
    change_pepper(settings, keep=False)
    assert peppers.count_by_pepper() == peppers.PepperCounts(0, 0, 0)


def test_wrong_secret_is_rejected_with_fallbacks(key: Key, settings: Settings) -> None:
    change_pepper(settings)
    body = f"aik_{key[0].key_id}_{'0' * 32}"
    assert not works(f"{body}_{key_text.checksum(body)}")
    with system_scope():
        assert ApiKey.objects.get().pepper_id == key[0].pepper_id


def test_lookup_without_a_rotation_takes_one_query(key: Key, django_assert_num_queries: DjangoAssertNumQueries) -> None:
    works(key[1])
    with django_assert_num_queries(1):
        assert works(key[1])


def test_pepper_id_reveals_no_key_digest(key: Key) -> None:
    assert len(key[0].pepper_id) == peppers.ID_LENGTH
    assert not key[0].secret_digest.startswith(key[0].pepper_id)
