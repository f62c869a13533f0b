import configparser
import shlex
from pathlib import Path

import pytest
from django.conf import settings as configured
from pytest_django.fixtures import Settings

from aiinfra.stack import bundled_redis, programs


@pytest.fixture(autouse=True)
def _plain_machine(settings: Settings, tmp_path: Path) -> None:
    settings.DATA_DIR, settings.REDIS_IS_BUNDLED = tmp_path, True
    settings.PORT, settings.SANDBOX_PORT, settings.SANDBOX_URL = 8100, 8102, "http://127.0.0.1:8102"
    settings.PROVIDER_API_KEYS = dict.fromkeys(configured.PROVIDER_API_KEYS, "")


def parsed() -> configparser.RawConfigParser:
    """The configuration as supervisor reads it."""
    parser = configparser.RawConfigParser(inline_comment_prefixes=(";", "#"))
    parser.read_string(programs.configuration())
    return parser


def names() -> list[str]:
    """The programs in the order of their start."""
    return [program.name for program in programs.programs()]


def test_redis_and_the_sandbox_start_first_and_are_no_part_of_the_group_that_stops_first() -> None:
    assert names() == ["redis", "sandbox", "scheduler", "workers", "web", "banner"]
    group = parsed()["group:product"]
    assert group["programs"] == "scheduler,workers,web,banner"
    assert int(group["priority"]) > max(int(parsed()[f"program:{name}"]["priority"]) for name in ("redis", "sandbox"))


def test_a_configured_redis_is_not_started(settings: Settings) -> None:
    settings.REDIS_IS_BUNDLED = False
    assert "redis" not in names()


def test_a_providers_key_makes_the_sandbox_unnecessary(settings: Settings) -> None:
    settings.PROVIDER_API_KEYS = {**settings.PROVIDER_API_KEYS, "openai": "sk-real"}
    assert "sandbox" not in names()


def test_a_sandbox_elsewhere_is_not_ours_to_start(settings: Settings) -> None:
    settings.SANDBOX_URL = "http://sandbox.example:9000"
    assert "sandbox" not in names()


@pytest.mark.parametrize("name", ["redis", "sandbox", "scheduler", "workers", "web"])
def test_what_ends_is_started_again(name: str) -> None:
    section = parsed()[f"program:{name}"]
    assert section["autorestart"] == "true"
    assert int(section["startretries"]) > 100


def test_the_banner_is_shown_once() -> None:
    assert parsed()["program:banner"]["autorestart"] == "false"


def test_workers_may_finish_the_longest_call_and_signals_reach_their_children() -> None:
    section = parsed()["program:workers"]
    assert int(section["stopwaitsecs"]) > 120
    assert section["stopasgroup"] == section["killasgroup"] == "true"


def test_the_web_server_may_finish_its_streams() -> None:
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


def test_a_path_with_spaces_stays_one_word(settings: Settings, tmp_path: Path) -> None:
    settings.DATA_DIR = tmp_path / "my data"
    assert f"{tmp_path}/my data/redis/redis.conf" in shlex.split(parsed()["program:redis"]["command"])
