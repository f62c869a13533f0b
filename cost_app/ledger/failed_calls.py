"""Books calls that ended without an answer."""

from aiinfra.providers.base import ProviderError
from cost_app.ledger import attempts
from cost_app.models import Attempt


def book_failure(attempt: Attempt, error: ProviderError) -> None:
    """Book what the provider reports, the maximum if it may have charged without saying how much, and else nothing."""
    if error.usage is not None:
        attempts.settle(attempt, error.usage, error.raw_usage, error.code.value, error.message)
    elif error.may_be_billed:
        attempts.estimate(attempt, error.code.value, error.message, error.raw_usage)
    else:
        attempts.release(attempt, error.code.value, error.message)
