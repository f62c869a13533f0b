"""What README and docs/ name exists: commands, addresses, variables, files, links. And every command is named."""

import re
from pathlib import Path

import pytest
from django.core.management import get_commands
from django.urls import Resolver404, resolve

from aiinfra.configuration.table import SETTINGS
from cost_app.models import LedgerKind
from tests.support.processes import ROOT

PAGES = {str(path.relative_to(ROOT)): path.read_text(encoding="utf-8") for path in (ROOT / "docs").glob("*.md")}
PAGES["README.md"] = (ROOT / "README.md").read_text(encoding="utf-8")
TEXT = "\n".join(PAGES.values())
OURS = {
    path.stem
    for app in ("aiinfra", "queue_app", "cache_app", "cost_app")
    for path in (ROOT / app).rglob("management/commands/[a-z]*.py")
}
NOT_OURS = {"/v1", "/run", "/srv", "/dev", "/usr", "/tmp", "/etc", "/sandbox"}  # noqa: S108
"""Paths of other programs: of providers, the sandbox and the system."""
ELSEWHERE = {"SSL_CERT_FILE", "SSL_CERT_DIR"}
"""Read by the HTTP library."""
SOURCES = "\n".join(
    path.read_text(encoding="utf-8")
    for app in ("aiinfra", "queue_app", "cache_app", "cost_app", "tests")
    for path in (ROOT / app).rglob("*.py")
)
MAKE = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))


def code_in(text: str) -> list[str]:
    """What stands between backticks in a line, and the lines of blocks."""
    blocks = [line for block in re.findall(r"```\w*\n(.*?)```", text, re.DOTALL) for line in block.splitlines()]
    return blocks + re.findall(r"`([^`\n]+)`", re.sub(r"```.*?```", "", text, flags=re.DOTALL))


def addresses(text: str) -> set[str]:
    """The paths of this product that a page names, without query, host and placeholders."""
    found = {match for code in code_in(text) for match in re.findall(r"(?:^|[\s\"(]|\$URL|:8000)(/[a-z][\w/-]*)", code)}
    return {address for address in found if not any(address.startswith(other) for other in NOT_OURS)}


def exists(address: str) -> bool:
    for candidate in (address, f"{address}/"):
        try:
            resolve(candidate)
        except Resolver404:
            continue
        return True
    return False


def test_every_command_is_documented() -> None:
    named = set(re.findall(r"manage\.py ([a-z_]+)", TEXT))
    assert {command for command in OURS if command != "banner"} <= named, "banner is `run`'s own"


@pytest.mark.parametrize("page", PAGES)
def test_every_command_that_is_named_exists(page: str) -> None:
    named = {name for code in code_in(PAGES[page]) for name in re.findall(r"manage\.py ([a-z_]+)", code)}
    assert named <= get_commands().keys()
    assert {target for code in code_in(PAGES[page]) for target in re.findall(r"^make ([a-z-]+)", code)} <= MAKE


@pytest.mark.parametrize("page", PAGES)
def test_every_address_that_is_named_exists(page: str) -> None:
    assert {address for address in addresses(PAGES[page]) if not exists(address)} == set()


@pytest.mark.parametrize("page", PAGES)
def test_every_setting_and_code_that_is_named_exists(page: str) -> None:
    """Settings, error codes, constants."""
    named = {name for code in code_in(PAGES[page]) for name in re.findall(r"^([A-Z]+_[A-Z_]+)(?:=.*)?$", code)}
    unknown = {name for name in named - SETTINGS.keys() - ELSEWHERE if not re.search(rf"\b{name}\b", SOURCES)}
    assert {name for name in unknown if not name.endswith("_API_KEY")} == set()


@pytest.mark.parametrize("page", PAGES)
def test_every_link_leads_to_a_file(page: str) -> None:
    links = re.findall(r"\]\((?!https?:|#)([^)#]+)(?:#[^)]*)?\)", PAGES[page])
    folder = (ROOT / page).parent
    assert [link for link in links if not (folder / link).exists()] == []


def test_every_page_can_be_reached_from_the_readme_or_the_architecture() -> None:
    linked = {Path(link).name for link in re.findall(r"\]\(([^)#]+\.md)", TEXT)}
    assert {Path(page).name for page in PAGES} - linked - {"README.md"} == set()


def test_the_kinds_of_ledger_entries_are_those_of_the_code() -> None:
    section = PAGES["docs/cost.md"].split("## Ledger")[1].split("\n## ")[0]
    assert set(re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE)) == set(LedgerKind.values)
