"""How many examples the tests that make their own try."""

import os

IS_FULL = bool(os.environ.get("TESTS_FULL"))
"""As before a release."""


def examples(usually: int, full: int) -> int:
    """As many as every change can afford; `full` of them with TESTS_FULL set, as for a release."""
    return full if IS_FULL else usually
