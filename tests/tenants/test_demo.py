"""Demo accounts: only on a local machine, with a random password, and never with staff rights."""

import stat
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.test import Client
from pytest_django.fixtures import Settings

from aiinfra.stack import doctor
from aiinfra.tenants import demo, demo_rules, key_authentication
from aiinfra.tenants.models import Organization, User

pytestmark = pytest.mark.django_db

REAL = {
    "BIND": "192.0.2.7",
    "HTTPS": True,
    "SECURE_PROXY_SSL_HEADER": ("HTTP_X_FORWARDED_PROTO", "https"),
    "PROVIDER_API_KEYS": {"openai": "sk-real", "deepseek": "", "anthropic": ""},
}
"""Settings of installations where a demo account would be a security risk."""


@pytest.fixture(autouse=True)
def _local_machine(settings: Settings, tmp_path: Path) -> None:
    settings.DATA_DIR = tmp_path
    settings.BIND, settings.HTTPS, settings.SECURE_PROXY_SSL_HEADER = "127.0.0.1", False, None
    settings.PROVIDER_API_KEYS = dict.fromkeys(("openai", "deepseek", "anthropic"), "")
    settings.PROVIDER_BASE_URLS = dict.fromkeys(("openai", "deepseek", "anthropic"), "")
    settings.COMPATIBLE_PROVIDERS = settings.COMPATIBLE_API_KEYS = {}


@pytest.mark.parametrize("name", REAL)
def test_demo_accounts_are_refused_on_reachable_or_paid_installations(settings: Settings, name: str) -> None:
    setattr(settings, name, REAL[name])
    with pytest.raises(CommandError, match="only for trying aiinfra on one machine"):
        call_command("seed_demo")
    assert not User.objects.exists()
    assert not demo.password_path().exists()


@pytest.mark.parametrize("host", ["192.0.2.7", "[::]", "10.0.0.1", "aiinfra.example", "localhost.example"])
def test_address_that_others_can_reach_is_not_loopback(host: str) -> None:
    assert not demo_rules.is_loopback(host)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.9.1", "[::1]", "::1", "localhost", "LOCALHOST."])
def test_loopback_address_is_recognized_in_every_notation(host: str) -> None:
    assert demo_rules.is_loopback(host)


@pytest.mark.parametrize(("url", "is_real"), [("http://127.0.0.1:11434/v1", False), ("https://llm.example/v1", True)])
def test_key_of_a_local_provider_does_not_count_as_paid(settings: Settings, url: str, is_real: bool) -> None:
    settings.COMPATIBLE_PROVIDERS, settings.COMPATIBLE_API_KEYS = {"my-llm": url}, {"my-llm": "x"}
    assert demo_rules.obstacles() == (["MY_LLM_API_KEY is set"] if is_real else [])


def test_demo_accounts_are_not_staff() -> None:
    demo.seed()
    assert not User.objects.filter(is_staff=True).exists()
    assert not User.objects.filter(is_superuser=True).exists()


def test_password_is_random_and_in_a_private_file() -> None:
    demo.seed()
    first = demo.password()
    assert len(first) >= 16
    assert stat.S_IMODE(demo.password_path().stat().st_mode) == 0o600
    assert User.objects.get(username="viewer@demo").check_password(first)
    demo.password_path().unlink()
    demo.seed()
    assert demo.password() != first
    assert User.objects.get(username="viewer@demo").check_password(demo.password())


def test_seeding_keeps_a_changed_password() -> None:
    demo.seed()
    viewer = User.objects.get(username="viewer@demo")
    viewer.set_password("chosen by a person")
    viewer.save()
    demo.seed()
    viewer.refresh_from_db()
    assert viewer.check_password("chosen by a person")


@pytest.mark.parametrize("name", REAL)
def test_demo_session_ends_when_settings_no_longer_allow_it(settings: Settings, client: Client, name: str) -> None:
    demo.seed()
    assert client.login(username="viewer@demo", password=demo.password())
    assert client.get("/costs/").status_code == 200
    setattr(settings, name, REAL[name])
    assert client.get("/costs/").status_code == 302
    assert not Client().login(username="viewer@demo", password=demo.password())


def findings() -> list[tuple[str, str]]:
    """The levels and texts that `doctor` reports about accounts."""
    return [(str(finding.level), finding.text) for finding in doctor._people()]


@pytest.mark.parametrize("name", REAL)
def test_doctor_fails_when_demo_accounts_remain_after_settings_changed(settings: Settings, name: str) -> None:
    demo.seed()
    assert ("ok", "Demo accounts exist, and only this machine can reach them") in findings()
    setattr(settings, name, REAL[name])
    assert any(level == "FAILED" and "seed_demo --remove" in text for level, text in findings())
    call_command("seed_demo", "--remove")
    assert all(level != "FAILED" for level, _ in findings())


def test_doctor_fails_when_a_demo_account_is_staff() -> None:
    demo.seed()
    User.objects.filter(username="owner@demo").update(is_staff=True)
    assert any(level == "FAILED" and "owner@demo is staff" in text for level, text in findings())


def test_removing_the_demo_deactivates_its_accounts_and_key() -> None:
    key = demo.seed()
    call_command("seed_demo", "--remove")
    assert not User.objects.filter(is_active=True).exists()
    assert key_authentication.authenticate(f"Bearer {key}") is None
    assert not demo.key_path().exists()
    assert not demo.password_path().exists()
    assert Organization.objects.filter(slug="demo").exists()
