"""The number of examples of tests that generate their own."""

import os

IS_FULL = bool(os.environ.get("TESTS_FULL"))
"""Set for a full run, as before a release."""


def examples(usually: int, full: int) -> int:
    """`usually`, or `full` if TESTS_FULL is set, as before a release."""
    return full if IS_FULL else usually
