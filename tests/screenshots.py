"""`python -m tests.screenshots` takes the screenshots in docs/img/screens from a fresh product with demo data."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

from tests.support.chromium import ARGUMENTS, chromium_path
from tests.support.processes import ROOT, answers, free_port, start, wait_until

TARGET = ROOT / "docs" / "img" / "screens"
PAGES = {
    "queue": "/queue/",
    "providers": "/providers/",
    "costs": "/costs/",
    "budgets": "/budgets/",
    "cache": "/cache/",
    "recommendations": "/recommendations/",
}
SIZE = {"width": 1280, "height": 760}
LARGEST = 150_000
START_S = 300
NO_KEYS = dict.fromkeys(("OPENAI_API_KEY", "DEEPSEEK_API_KEY", "ANTHROPIC_API_KEY"), "")


@contextmanager
def product() -> Iterator[tuple[str, str]]:
    """The URL and demo password of a fresh product that has processed demo traffic."""
    with tempfile.TemporaryDirectory() as data:
        env = {**NO_KEYS, "AIINFRA_DATA_DIR": data, "PORT": str(free_port()), "SANDBOX_LATENCY_MS": "900"}
        url = f"http://127.0.0.1:{env['PORT']}"
        with start([sys.executable, "manage.py", "run"], env):
            wait_until(lambda: answers(f"{url}/readyz"), "the product to start", START_S)
            subprocess.run(
                [sys.executable, "manage.py", "demo_traffic", "--rate", "2", "--seconds", "40", "--seed", "7"],
                cwd=ROOT,
                env={**os.environ, **env},
                check=True,
            )
            yield url, (Path(data) / "demo_password").read_text()


def log_in(page: Page, password: str) -> None:
    page.goto("/login/")
    page.get_by_label("Name").fill("owner@demo")
    page.get_by_label("Password").fill(password)
    page.keyboard.press("Enter")
    page.wait_for_url("**/queue/**")


def take(browser: Browser, url: str, password: str, scheme: str) -> None:
    """Take screenshots of all pages in one color scheme. Raises SystemExit if one is too large for the repository."""
    page = browser.new_page(base_url=url, viewport=SIZE, color_scheme=scheme)  # type: ignore[arg-type]
    log_in(page, password)
    for name, path in PAGES.items():
        page.goto(path)
        page.wait_for_load_state("networkidle")
        picture = page.screenshot(path=TARGET / f"{name}-{scheme}.png", animations="disabled")
        print(f"{name}-{scheme}.png: {len(picture):,} bytes")
        if len(picture) > LARGEST:
            sys.exit(f"{name}-{scheme}.png is larger than {LARGEST:,} bytes")


def main() -> None:
    TARGET.mkdir(parents=True, exist_ok=True)
    with product() as (url, password), sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium_path(), args=ARGUMENTS)
        for scheme in ("light", "dark"):
            take(browser, url, password, scheme)


if __name__ == "__main__":
    main()
