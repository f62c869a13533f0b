"""How many examples the tests that make their own try."""

import os


def examples(usually: int, full: int) -> int:
    """As many as every change can afford; `full` of them with TESTS_FULL set, as for a release."""
    return full if os.environ.get("TESTS_FULL") else usually
