"""Why a budget lets a call not pass."""

from cost_app.models import Budget


class BudgetRefusedError(Exception):
    """A budget has no room for the call. `budget` is the one; amounts are nano-dollars."""

    def __init__(self, budget: Budget, needed_nano: int, available_nano: int, message: str) -> None:
        super().__init__(message)
        self.budget = budget
        self.needed_nano = needed_nano
        self.available_nano = available_nano


class BudgetExceededError(BudgetRefusedError):
    """It is spent: waiting does not help before the next period.

    `fits_tokens` is how long an answer would still fit, 0 where not even the prompt does.
    """

    def __init__(
        self, budget: Budget, needed_nano: int, available_nano: int, message: str, fits_tokens: int = 0
    ) -> None:
        super().__init__(budget, needed_nano, available_nano, message)
        self.fits_tokens = fits_tokens


class BudgetBusyError(BudgetRefusedError):
    """Calls that are under way hold the room; when they end there may be some. `retry_after_s`: when to come back."""

    retry_after_s = 1
