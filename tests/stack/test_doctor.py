from collections.abc import Iterator
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import call_command
from django.db.migrations.recorder import MigrationRecorder
from pytest_django.fixtures import Settings
from redis import Redis

from aiinfra.stack import doctor
from aiinfra.stack.doctor import examine
from cache_app.embedding.base import EmbedderError
from cache_app.embedding.minilm import MiniLmEmbedder
from tests.support.processes import free_port

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _secrets(settings: Settings, tmp_path: Path) -> None:
    settings.DATA_DIR = tmp_path
    (tmp_path / "secret_key").touch(mode=0o600)


@pytest.fixture
def logged_in(redis_url: str, settings: Settings) -> Iterator[Redis]:
    """A client of a Redis that requires a password, which the product's settings have."""
    client = Redis.from_url(redis_url.replace("//", "//doctor:secret@"))
    owner = Redis.from_url(redis_url)
    owner.acl_setuser("doctor", enabled=True, passwords=["+secret"], commands=["+@all"], keys=["*"], channels=["*"])
    owner.acl_setuser("default", enabled=False)
    settings.REDIS_URL = redis_url.replace("//", "//doctor:secret@")
    yield client
    client.acl_setuser("default", enabled=True)


@pytest.fixture
def good_redis(logged_in: Redis) -> Redis:
    """A Redis with the recommended configuration."""
    client = logged_in
    client.config_set("appendonly", "yes")
    client.config_set("maxmemory-policy", "noeviction")
    return client


def failures() -> str:
    """The texts of all failures."""
    return "\n".join(finding.text for finding in examine() if finding.level == "FAILED")


@pytest.mark.usefixtures("good_redis")
def test_a_good_installation_passes() -> None:
    output = StringIO()
    call_command("doctor", stdout=output)
    assert "Redis keeps an append-only file" in output.getvalue()


def test_a_redis_that_can_lose_data_is_a_failure(good_redis: Redis) -> None:
    good_redis.config_set("appendonly", "no")
    good_redis.config_set("maxmemory-policy", "allkeys-lru")
    assert "appendonly yes" in failures()
    assert "noeviction" in failures()
    with pytest.raises(SystemExit) as ended:
        call_command("doctor", stdout=StringIO())
    assert ended.value.code == 1


def test_an_unreachable_redis_is_a_failure(settings: Settings) -> None:
    settings.REDIS_URL = f"redis://127.0.0.1:{free_port()}/0"
    assert "Redis is unreachable" in failures()


@pytest.mark.usefixtures("good_redis")
def test_a_missing_migration_is_a_failure() -> None:
    MigrationRecorder.Migration.objects.filter(app="queue_app").delete()
    assert "manage.py release" in failures()


@pytest.mark.usefixtures("good_redis")
def test_a_secret_readable_by_other_users_is_a_failure(tmp_path: Path) -> None:
    (tmp_path / "secret_key").chmod(0o644)
    assert f"Other users can read 1 files or directories: chmod go= {tmp_path / 'secret_key'}" in failures()


def test_a_redis_without_a_password_is_a_failure(redis_url: str) -> None:
    assert "must require a password" in failures()


def test_a_redis_with_an_optional_password_is_a_failure(logged_in: Redis, redis_url: str) -> None:
    logged_in.acl_setuser("default", enabled=True)
    assert "must require a password" in failures()


@pytest.mark.parametrize(("mode", "is_private"), [(0o600, True), (0o666, False)])
def test_a_redis_unix_socket_must_be_private(
    settings: Settings, redis_url: str, tmp_path: Path, mode: int, is_private: bool
) -> None:
    tmp_path.chmod(0o755)
    path = tmp_path / "redis.sock"
    path.touch()
    path.chmod(mode)
    settings.REDIS_URL = f"unix://{path}"
    assert doctor._redis_authenticates() is is_private
    tmp_path.chmod(0o700)
    assert doctor._redis_authenticates()


@pytest.mark.usefixtures("good_redis")
def test_a_short_secret_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_KEY", "short")
    assert "SECRET_KEY must have" in failures()


def test_a_misspelled_setting_is_noted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QUEUE_RETENTON_DAYS", "90")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_LOGS_HEADERS", "a=b")  # known only to OpenTelemetry's SDK
    notes = [finding.text for finding in examine() if finding.level == "note"]
    assert not any(note.startswith("OTEL_") for note in notes)
    assert "QUEUE_RETENTON_DAYS is not a setting: did you mean QUEUE_RETENTION_DAYS?" in notes


@pytest.mark.parametrize(
    ("mail_server", "url", "is_noted"),
    [
        ("mail.example.com", "http://127.0.0.1:8000/", True),
        ("mail.example.com", "https://ai.example.com/", False),
        ("", "http://127.0.0.1:8000/", False),
    ],
)
def test_a_local_public_url_is_noted_if_emails_are_sent(
    settings: Settings, mail_server: str, url: str, is_noted: bool
) -> None:
    settings.EMAIL_HOST, settings.AIINFRA_PUBLIC_URL = mail_server, url
    assert any("AIINFRA_PUBLIC_URL" in finding.text for finding in examine()) == is_noted


def test_a_hosted_redis_that_hides_its_configuration_is_not_a_failure(
    monkeypatch: pytest.MonkeyPatch, logged_in: Redis
) -> None:
    monkeypatch.setattr(Redis, "info", lambda _self, section: {"redis_version": "7.4.0"} if section == "server" else {})
    assert "Redis does not report its settings" in "\n".join(finding.text for finding in examine())
    assert "Redis" not in failures()


def test_a_broken_embedder_is_a_failure(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> object:
        raise EmbedderError("no such model")

    monkeypatch.setattr(MiniLmEmbedder, "embed", broken)
    assert "only exact matches because its embedder does not work: no such model" in failures()
    settings.CACHE_EMBEDDER = "nobody's"
    assert "'nobody's' is not one of minilm, openai" in failures().replace('"', "'")


def test_a_paid_embedder_is_not_called(settings: Settings) -> None:
    settings.CACHE_EMBEDDER = "openai"
    assert "embedded by OpenAI" in "\n".join(finding.text for finding in examine())
