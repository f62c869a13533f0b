"""docs/settings.md matches the table of settings, and every setting is used."""

import re
from pathlib import Path

import pytest
from django.conf import settings

from aiinfra.configuration.table import SECTIONS, SETTINGS, settings_of

ROOT = Path(settings.BASE_DIR)
PACKAGES = ("aiinfra", "queue_app", "cache_app", "cost_app", "tests")
TEXT = (ROOT / "docs/settings.md").read_text(encoding="utf-8")
FILES = [path for package in PACKAGES for path in (ROOT / package).rglob("*.py")]
SOURCES = {path: path.read_text(encoding="utf-8") for path in FILES}
STATED = re.compile(r"os\.environ(?:\.get\(|\[)\s*[\"']([A-Z][A-Z_]+)[\"']")
MAY_READ_THE_ENVIRONMENT = {"aiinfra/stack/doctor.py"}
"""The doctor distinguishes a secret in the environment from one in a file."""


@pytest.mark.parametrize("title", SECTIONS)
def test_every_section_lists_its_settings_with_default_range_and_meaning(title: str) -> None:
    """If this fails, copy the left side into the page."""
    section = TEXT.split(f"\n## {title}\n", 1)[1].split("\n## ")[0]
    documented = [line for line in section.splitlines() if line.startswith("| `")]
    assert [setting.row for setting in settings_of(SECTIONS[title])] == documented


def test_each_setting_is_documented_once_in_table_order() -> None:
    documented = re.findall(r"^\| `([A-Z_]+)` \|", TEXT, re.MULTILINE)
    assert documented == list(SETTINGS)


def test_every_setting_is_read() -> None:
    table = ROOT / "aiinfra/configuration/table"
    others = "\n".join(text for path, text in SOURCES.items() if table not in path.parents and path != Path(__file__))
    of_providers = {f"{name.upper()}_{what}" for name in settings.PROVIDER_API_KEYS for what in ("API_KEY", "BASE_URL")}
    unread = {name for name in SETTINGS if not re.search(rf"(\.|\[|\"){name}\b", others)}
    of_opentelemetry = {name for name in SETTINGS if name.startswith("OTEL_")}  # its SDK reads them
    assert unread <= of_providers | of_opentelemetry | {"UPSTASH_REDIS_REST_URL", "UPSTASH_REDIS_REST_TOKEN"}


def test_no_unlisted_environment_variable_is_read() -> None:
    read = {name for text in SOURCES.values() for name in STATED.findall(text)}
    assert len(read) > 3
    assert read <= {*SETTINGS, "DJANGO_SETTINGS_MODULE", "PATH", "PYTHONPATH"}


def test_only_the_settings_table_reads_the_environment() -> None:
    readers = {str(path.relative_to(ROOT)) for path, text in SOURCES.items() if STATED.search(text)}
    assert {name for name in readers if not name.startswith("tests/")} <= MAY_READ_THE_ENVIRONMENT


def test_the_example_names_only_settings_that_exist() -> None:
    lines = (ROOT / ".env.example").read_text(encoding="utf-8").splitlines()
    assert {line.removeprefix("# ").partition("=")[0] for line in lines if "=" in line} <= SETTINGS.keys()
