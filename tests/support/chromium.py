"""Finds Debian's Chromium."""

from pathlib import Path

HEADLESS = Path("/usr/bin/chromium-headless-shell")
"""The same engine without the browser's own interface: the tests take about 40% less CPU in it. Debian packages it
separately.
"""
CHROMIUM = Path("/usr/bin/chromium")
ARGUMENTS = ["--no-sandbox"]


def chromium_path() -> Path | None:
    """The browser for tests, or None if none is installed."""
    return next((each for each in (HEADLESS, CHROMIUM) if each.exists()), None)
