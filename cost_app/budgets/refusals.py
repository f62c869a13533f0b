"""Why a budget refuses a call."""

from cost_app.models import Budget


class BudgetRefusedError(Exception):
    """A budget has no room for the call. Amounts are nano-dollars."""

    def __init__(self, budget: Budget, needed_nano: int, available_nano: int, message: str) -> None:
        super().__init__(message)
        self.budget = budget
        self.needed_nano = needed_nano
        self.available_nano = available_nano


class BudgetExceededError(BudgetRefusedError):
    """The budget is spent: waiting does not help before the next period.

    `fits_tokens` is the longest answer that would still fit; 0 if not even the prompt does.
    """

    def __init__(
        self, budget: Budget, needed_nano: int, available_nano: int, message: str, fits_tokens: int = 0
    ) -> None:
        super().__init__(budget, needed_nano, available_nano, message)
        self.fits_tokens = fits_tokens


class BudgetBusyError(BudgetRefusedError):
    """Calls in progress have reserved the rest; there may be room when they end. Retry after `retry_after_s`."""

    retry_after_s = 1
