"""Fixtures that attacks share."""

from tests.support.web import serve  # noqa: F401 - fixture
