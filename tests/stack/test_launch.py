import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import settings as configured
from django.core.management import CommandError, call_command
from pytest_django.fixtures import Settings

from aiinfra.stack import control, launch
from aiinfra.tenants.models import Organization, User
from cost_app.prices.lookup import priced_models
from tests.support.processes import free_port


@pytest.fixture(autouse=True)
def _temporary_data_directory(settings: Settings, tmp_path: Path) -> None:
    settings.REDIS_IS_BUNDLED = False
    settings.DATA_DIR, settings.STATIC_ROOT, settings.PORT = tmp_path, tmp_path / "static", free_port()
    settings.PROVIDER_API_KEYS = {**configured.PROVIDER_API_KEYS, "openai": "sk-real"}


@pytest.fixture
def taken_port() -> Iterator[int]:
    """A port in use."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_a_port_in_use_is_reported_with_its_setting(settings: Settings, taken_port: int) -> None:
    settings.PORT = taken_port
    with pytest.raises(CommandError, match=rf"Port {taken_port} .*PORT="):
        call_command("run")


def test_the_sandbox_port_is_checked_if_the_sandbox_is_started(settings: Settings, taken_port: int) -> None:
    settings.PROVIDER_API_KEYS = dict.fromkeys(configured.PROVIDER_API_KEYS, "")
    settings.SANDBOX_PORT, settings.SANDBOX_URL = taken_port, f"http://127.0.0.1:{taken_port}"
    with pytest.raises(launch.CannotStartError, match="SANDBOX_PORT="):
        launch.check_ports()


def test_run_refuses_to_start_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control, "find_supervisor", lambda _: control.Supervisor(1, False, {"web": 2}))
    with pytest.raises(CommandError, match="already running"):
        call_command("run")


def test_run_refuses_to_start_while_stopping(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control, "find_supervisor", lambda _: control.Supervisor(1, True, {"workers": 2, "redis": 3}))
    with pytest.raises(CommandError, match=r"still stopping in .*\(redis, workers\)"):
        call_command("run")


def test_run_refuses_to_start_if_another_user_s_supervisor_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    def somebodys(_: object) -> None:
        raise control.NotAllowedError("Another user runs it")

    monkeypatch.setattr(control, "find_supervisor", somebodys)
    with pytest.raises(CommandError, match="Another user"):
        call_command("run")


def test_a_foreign_bind_address_is_reported(settings: Settings) -> None:
    settings.BIND = "192.0.2.1"
    with pytest.raises(launch.CannotStartError, match="Is BIND an address of this machine"):
        launch.check_ports()


def test_a_privileged_port_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(socket.socket, "bind", refuse)
    with pytest.raises(launch.CannotStartError, match=r"needs more privileges.*PORT="):
        launch.check_ports()


def test_a_path_that_supervisor_cannot_parse_is_refused(settings: Settings, tmp_path: Path) -> None:
    settings.DATA_DIR = tmp_path / "100%"
    with pytest.raises(launch.CannotStartError, match="AIINFRA_DATA_DIR"):
        launch.check_paths()


@pytest.mark.django_db
def test_demo_users_are_created_in_an_empty_installation(settings: Settings) -> None:
    settings.PROVIDER_API_KEYS = dict.fromkeys(configured.PROVIDER_API_KEYS, "")
    launch.prepare(lambda _: None)
    assert User.objects.filter(username="owner@demo").exists()


@pytest.mark.django_db
def test_demo_users_are_not_created_in_a_public_installation(settings: Settings) -> None:
    settings.PROVIDER_API_KEYS = dict.fromkeys(configured.PROVIDER_API_KEYS, "")
    settings.HTTPS = True
    launch.prepare(lambda _: None)
    assert not User.objects.exists()
    assert not Organization.objects.exists()


@pytest.mark.django_db
def test_demo_users_are_not_created_if_an_organization_exists(settings: Settings) -> None:
    settings.PROVIDER_API_KEYS = dict.fromkeys(configured.PROVIDER_API_KEYS, "")
    Organization.objects.create(slug="own", name="Own")
    launch.prepare(lambda _: None)
    assert not User.objects.filter(username="owner@demo").exists()


@pytest.mark.django_db
def test_the_first_start_adds_the_providers_models_to_the_price_book() -> None:
    launch.prepare(lambda _: None)
    priced = priced_models()
    assert {("openai", "gpt-4o"), ("anthropic", "claude-opus-4-5"), ("deepseek", "deepseek-v4-pro")} <= set(priced)
    launch.prepare(lambda _: None)
    assert priced_models() == priced
