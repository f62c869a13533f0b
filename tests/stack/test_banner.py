import shutil
import subprocess
from pathlib import Path

import pytest
from pytest_django.fixtures import Settings

from aiinfra.stack.address import web_url
from aiinfra.stack.banner import banner, wait_for_web
from aiinfra.tenants import demo
from aiinfra.tenants.models import User
from tests.support.processes import free_port

pytestmark = pytest.mark.django_db
SANDBOX_NOTE = "No provider key is set. A local sandbox answers instead of a real provider."


@pytest.fixture(autouse=True)
def _temporary_data_directory(settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> None:
    """The banner shows its path, so the path must not contain the name of the test, as `tmp_path` does."""
    settings.DATA_DIR, settings.PORT = tmp_path_factory.mktemp("data"), 8100
    settings.PROVIDER_API_KEYS = dict.fromkeys(("openai", "deepseek", "anthropic"), "")


def test_banner_shows_url_users_password_and_key() -> None:
    key = demo.seed()
    text = banner()
    assert "http://127.0.0.1:8100" in text
    assert "owner@demo" in text
    assert demo.password() in text
    assert f"KEY={key}" in text


def test_the_example_is_a_valid_shell_script(tmp_path: Path) -> None:
    demo.seed()
    script = tmp_path / "example.sh"
    script.write_text(banner().split("\n\n")[3])
    assert subprocess.run([shutil.which("sh") or "sh", "-n", script], check=False).returncode == 0
    assert "curl" in script.read_text()


def test_the_example_calls_a_configured_provider(settings: Settings) -> None:
    demo.seed()
    settings.PROVIDER_API_KEYS = {**settings.PROVIDER_API_KEYS, "openai": "sk-real"}
    assert '"provider": "openai"' in banner()
    assert SANDBOX_NOTE not in banner()


def test_banner_says_that_the_sandbox_answers_without_a_provider_key() -> None:
    assert SANDBOX_NOTE in banner()


def test_banner_shows_no_credentials_without_demo_users() -> None:
    assert "Password" not in banner()
    assert "KEY=" not in banner()


def test_the_password_is_shown_once_and_then_only_its_file() -> None:
    demo.seed()
    assert demo.password() in banner()
    later = banner()
    assert demo.password() not in later
    assert str(demo.password_path()) in later


def test_banner_names_the_command_that_creates_an_admin_if_there_are_no_users() -> None:
    assert "manage.py createadmin" in banner()
    User.objects.create_superuser("root@company.example")
    assert "createadmin" not in banner()


def test_waiting_for_an_unreachable_server_times_out(settings: Settings) -> None:
    settings.PORT = free_port()
    assert not wait_for_web(limit_s=0.1)


@pytest.mark.parametrize(
    ("bind", "url"),
    [("[::]", "http://[::1]:8100"), ("10.1.2.3", "http://10.1.2.3:8100")],
)
def test_the_url_is_reachable_from_this_host(settings: Settings, bind: str, url: str) -> None:
    settings.BIND = bind
    assert web_url() == url
