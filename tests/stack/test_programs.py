import configparser
import shlex
from pathlib import Path

import pytest
from django.conf import settings as configured
from pytest_django.fixtures import Settings

from aiinfra.stack import bundled_redis, programs


@pytest.fixture(autouse=True)
def _default_settings(settings: Settings, tmp_path: Path) -> None:
    settings.DATA_DIR, settings.REDIS_IS_BUNDLED = tmp_path, True
    settings.PORT, settings.SANDBOX_PORT, settings.SANDBOX_URL = 8100, 8102, "http://127.0.0.1:8102"
    settings.PROVIDER_API_KEYS = dict.fromkeys(configured.PROVIDER_API_KEYS, "")


def parsed() -> configparser.RawConfigParser:
    """The configuration as supervisor parses it."""
    parser = configparser.RawConfigParser(inline_comment_prefixes=(";", "#"))
    parser.read_string(programs.configuration())
    return parser


def names() -> list[str]:
    """The names of the programs in start order."""
    return [program.name for program in programs.programs()]


def test_redis_and_the_sandbox_start_before_and_stop_after_the_product() -> None:
    assert names() == ["redis", "sandbox", "scheduler", "workers", "web", "banner"]
    group = parsed()["group:product"]
    assert group["programs"] == "scheduler,workers,web,banner"
    assert int(group["priority"]) > max(int(parsed()[f"program:{name}"]["priority"]) for name in ("redis", "sandbox"))


def test_a_configured_redis_is_not_started(settings: Settings) -> None:
    settings.REDIS_IS_BUNDLED = False
    assert "redis" not in names()


def test_the_sandbox_is_not_started_if_a_provider_has_a_key(settings: Settings) -> None:
    settings.PROVIDER_API_KEYS = {**settings.PROVIDER_API_KEYS, "openai": "sk-real"}
    assert "sandbox" not in names()


def test_an_external_sandbox_is_not_started(settings: Settings) -> None:
    settings.SANDBOX_URL = "http://sandbox.example:9000"
    assert "sandbox" not in names()


@pytest.mark.parametrize("name", ["redis", "sandbox", "scheduler", "workers", "web"])
def test_exited_programs_are_restarted(name: str) -> None:
    section = parsed()[f"program:{name}"]
    assert section["autorestart"] == "true"
    assert int(section["startretries"]) > 100


def test_the_banner_is_shown_once() -> None:
    assert parsed()["program:banner"]["autorestart"] == "false"


def test_workers_can_finish_the_longest_call_and_signals_reach_their_children() -> None:
    section = parsed()["program:workers"]
    assert int(section["stopwaitsecs"]) > 120
    assert section["stopasgroup"] == section["killasgroup"] == "true"


def test_the_web_server_can_finish_its_streams() -> None:
    assert int(parsed()["program:web"]["stopwaitsecs"]) == configured.WEB_DRAIN_S + programs.WEB_END_S


def test_redis_is_durable_and_local(tmp_path: Path) -> None:
    bundled_redis.write_configuration(bundled_redis.own_port(), bundled_redis.own_directory())
    (path,) = shlex.split(parsed()["program:redis"]["command"])[1:]
    options = dict(shlex.split(line) for line in Path(path).read_text().splitlines())
    assert options["appendonly"] == "yes"
    assert options["maxmemory-policy"] == "noeviction"
    assert options["bind"] == "127.0.0.1"
    assert (options["port"], options["dir"]) == ("8101", str(tmp_path / "redis"))


def test_the_sandbox_keeps_its_book_in_the_data_directory(tmp_path: Path) -> None:
    assert parsed()["program:sandbox"]["environment"] == f'SANDBOX_BOOK="{tmp_path}/sandbox_book.jsonl"'


def test_a_path_with_spaces_is_one_argument(settings: Settings, tmp_path: Path) -> None:
    settings.DATA_DIR = tmp_path / "my data"
    assert f"{tmp_path}/my data/redis/redis.conf" in shlex.split(parsed()["program:redis"]["command"])
