"""What README, docs/ and the guides beside them name exists: commands, addresses, variables, files, links.

And every command is named, every page is in the site, and lines stay readable in a terminal.
"""

import re

import pytest
import yaml
from django.core.management import get_commands
from django.urls import Resolver404, resolve

from aiinfra.configuration.table import SETTINGS
from cost_app.models import LedgerKind
from tests.support.processes import ROOT

PAGES = {
    str(path.relative_to(ROOT)): path.read_text(encoding="utf-8")
    for path in [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]
}
TEXT = "\n".join(PAGES.values())
OURS = {
    path.stem
    for app in ("aiinfra", "queue_app", "cache_app", "cost_app")
    for path in (ROOT / app).rglob("management/commands/[a-z]*.py")
}
NOT_OURS = {"/v1", "/run", "/srv", "/dev", "/usr", "/tmp", "/etc", "/sandbox"}  # noqa: S108
"""Paths of other programs: of providers, the sandbox and the system."""
ELSEWHERE = {
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "OTEL_EXPORTER_OTLP_CERTIFICATE",
    "OTEL_EXPORTER_OTLP_COMPRESSION",
    "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT",
    "CLAUDE_CODE_ENABLE_GATEWAY_MODEL_DISCOVERY",
}
"""Read by the HTTP library, OpenTelemetry, and Claude Code."""
SOURCES = "\n".join(
    path.read_text(encoding="utf-8")
    for app in ("aiinfra", "queue_app", "cache_app", "cost_app", "tests")
    for path in (ROOT / app).rglob("*.py")
)
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
MAKE = set(re.findall(r"^([a-z-]+):", MAKEFILE, re.MULTILINE))
LONGEST_LINE = 119


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
    assert {target for code in code_in(PAGES[page]) for target in re.findall(r"\bmake ([a-z-]+)", code)} <= MAKE


@pytest.mark.parametrize("page", PAGES)
def test_every_address_that_is_named_exists(page: str) -> None:
    assert {address for address in addresses(PAGES[page]) if not exists(address)} == set()


@pytest.mark.parametrize("page", PAGES)
def test_every_setting_and_code_that_is_named_exists(page: str) -> None:
    """Settings, error codes, constants."""
    named = {name for code in code_in(PAGES[page]) for name in re.findall(r"^([A-Z]+_[A-Z_]+)(?:=.*)?$", code)}
    unknown = {name for name in named - SETTINGS.keys() - ELSEWHERE if not re.search(rf"\b{name}\b", SOURCES)}
    assert {name for name in unknown if not name.endswith("_API_KEY")} == set()


def anchors(text: str) -> set[str]:
    """The anchors of the headings, as the site and GitHub make them."""
    headings = re.findall(r"^#+ (.+)$", re.sub(r"```.*?```", "", text, flags=re.DOTALL), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading).strip().lower().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES)
def test_every_link_leads_to_a_file_and_an_anchor(page: str) -> None:
    broken = []
    links = re.findall(r"(?<!!)\[[^]]+\]\((?!https?:)([^)]+)\)", PAGES[page])
    for target, _, anchor in (link.partition("#") for link in links):
        path = ((ROOT / page).parent / target).resolve() if target else ROOT / page
        known = anchors(PAGES.get(str(path.relative_to(ROOT)), "")) if anchor else {""}
        if not path.exists() or anchor not in known:
            broken.append((target, anchor))
    assert broken == []


@pytest.mark.parametrize("page", PAGES)
def test_every_picture_exists(page: str) -> None:
    pictures = re.findall(r'(?:src|srcset)="([^"]+)"|!\[[^]]+\]\(([^)#]+)', PAGES[page])
    assert [names for names in pictures if not ((ROOT / page).parent / "".join(names)).exists()] == []


@pytest.mark.parametrize("page", PAGES)
def test_every_file_of_the_code_that_is_named_exists(page: str) -> None:
    named = {
        path
        for code in code_in(PAGES[page])
        for path in re.findall(r"\b(?:aiinfra|queue_app|cache_app|cost_app|tests|benchmarks)/[\w./*]*", code)
    }
    assert {path for path in named if not list(ROOT.glob(path.rstrip("/")))} == set()


@pytest.mark.parametrize("page", PAGES)
def test_no_line_of_prose_is_long(page: str) -> None:
    prose = re.sub(r"```.*?```", "", PAGES[page], flags=re.DOTALL).splitlines()
    assert [line for line in prose if len(line) > LONGEST_LINE and not line.startswith(("|", "    "))] == []


def test_every_page_is_in_the_site() -> None:
    navigation = yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))["nav"]
    listed = [
        f"docs/{page}" for group in navigation for pages in group.values() for each in pages for page in each.values()
    ]
    assert sorted(listed) == sorted(page for page in PAGES if page.startswith("docs/"))


def test_every_page_is_linked_from_the_readme() -> None:
    assert {page for page in PAGES if f"]({page})" not in PAGES["README.md"]} == {"README.md"}


def test_the_hooks_before_a_commit_are_what_make_check_runs() -> None:
    checks = re.findall(r"^check:([^#]+)", MAKEFILE, re.MULTILINE)[0].split()
    (repository,) = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))["repos"]
    assert [hook["entry"] for hook in repository["hooks"]] == [f"make {check}" for check in checks]


def test_the_kinds_of_ledger_entries_are_those_of_the_code() -> None:
    section = PAGES["docs/cost.md"].split("## Ledger")[1].split("\n## ")[0]
    assert set(re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE)) == set(LedgerKind.values)
