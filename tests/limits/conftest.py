"""Clients with API keys of the two organizations."""

from tests.api.conftest import (  # noqa: F401 - fixtures
    _queue,
    browser,
    key_of,
    other_program,
    program,
)
