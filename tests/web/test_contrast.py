"""The contrast of the design tokens' colors, in light and dark mode (WCAG 2.2, 1.4.3 and 1.4.11)."""

import re
from itertools import product
from pathlib import Path

import pytest
from django.conf import settings

TOKENS = (Path(settings.BASE_DIR) / "static/css/tokens.css").read_text(encoding="utf-8")
COLORS = {name: pair for name, *pair in re.findall(r"--([\w-]+): light-dark\((#\w{6}), (#\w{6})\)", TOKENS)}
TEXTS = ["text", "text-muted", "text-faint", "accent", "accent-strong", "good", "warn", "bad", "info"]
BEHIND = ["canvas", "surface", "surface-raised", "surface-sunken", "surface-hover", "neutral-soft", "accent-soft"]
ON_FILLS = [(tone, f"{tone}-soft") for tone in ("good", "warn", "bad", "info")] + [("on-accent", "accent")]
SERIES = [name for name in COLORS if name.startswith("series-")]


def luminance(color: str) -> float:
    """The relative luminance of `#rrggbb`."""
    parts = [int(color[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def ratio(one: str, other: str, scheme: int) -> float:
    darker, lighter = sorted(luminance(COLORS[name][scheme]) for name in (one, other))
    return (lighter + 0.05) / (darker + 0.05)


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
def test_text_has_enough_contrast_on_each_background(scheme: int) -> None:
    pairs = [*product(TEXTS, BEHIND), *ON_FILLS]
    assert {(text, behind) for text, behind in pairs if ratio(text, behind, scheme) < 4.5} == set()


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
def test_field_borders_have_enough_contrast_on_each_background(scheme: int) -> None:
    assert {behind for behind in BEHIND[:5] if ratio("line-field", behind, scheme) < 3} == set()


def test_fields_use_the_border_color_for_fields() -> None:
    """The border of a card is decorative and has too little contrast for a field."""
    for name in ("forms.css", "admin.css"):
        css = (Path(settings.BASE_DIR) / "static/css" / name).read_text(encoding="utf-8")
        assert "var(--line-field)" in css
        assert "var(--line-strong)" not in css


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
def test_chart_lines_and_the_focus_ring_have_enough_contrast(scheme: int) -> None:
    pairs = product([*SERIES, "focus"], ["surface", "canvas"])
    assert {(line, behind) for line, behind in pairs if ratio(line, behind, scheme) < 3} == set()
