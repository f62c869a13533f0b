import re
from pathlib import Path

from django.conf import settings

ROOT = Path(settings.BASE_DIR)
PACKAGES = ("aiinfra", "queue_app", "cache_app", "cost_app", "tests")
READ = re.compile(r"""(?:env(?:str|int|float|bool|secret)\(|os\.environ\.get\()\s*"([A-Z_]+)\"""")
OF_PROVIDERS = {f"{name.upper()}_{what}" for name in settings.PROVIDER_API_KEYS for what in ("API_KEY", "BASE_URL")}


def read_names() -> set[str]:
    """Every variable that the code reads."""
    files = [file for package in PACKAGES for file in (ROOT / package).rglob("*.py")]
    return OF_PROVIDERS | {name for file in files for name in READ.findall(file.read_text(encoding="utf-8"))}


def documented_names() -> set[str]:
    """Every variable in the first column of a table."""
    rows = [
        line for line in (ROOT / "docs/settings.md").read_text(encoding="utf-8").splitlines() if line.startswith("| `")
    ]
    return {name for row in rows for name in re.findall(r"`([A-Z_]+)`", row.split("|")[1])}


def test_every_setting_is_documented() -> None:
    assert len(read_names()) > 30
    assert read_names() - documented_names() == set()


def test_nothing_is_documented_that_nobody_reads() -> None:
    assert documented_names() - read_names() == set()


def test_the_example_names_only_settings_that_exist() -> None:
    lines = (ROOT / ".env.example").read_text(encoding="utf-8").splitlines()
    assert {line.removeprefix("# ").partition("=")[0] for line in lines if "=" in line} <= documented_names()
