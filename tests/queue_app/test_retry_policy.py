from hypothesis import given
from hypothesis import strategies as st

from aiinfra.providers.base import RETRYABLE, TRY_ELSEWHERE, ErrorCode, ProviderError
from queue_app.processing.retry_policy import CIRCUIT_WAITS_MAX, NextAttempt, next_attempt

Model = tuple[str, str]
A, B, C = ("openai", "a"), ("deepseek", "b"), ("anthropic", "c")
CHAIN = [A, B, C]


def step(
    code: ErrorCode,
    current: Model = A,
    tried: list[Model] | None = None,
    chain: list[Model] | None = None,
    retries: int = 3,
    waited: int = 0,
) -> NextAttempt | None:
    error = ProviderError(code, "no", may_be_billed=False, retry_after_s=None)
    return next_attempt(
        error,
        current=current,
        tried=[current] if tried is None else tried,
        waited=waited,
        chain=chain or CHAIN,
        max_retries=retries,
    )


def model_of(following: NextAttempt | None) -> Model | None:
    return (following.provider, following.model) if following else None


def test_a_temporary_failure_is_retried_with_the_same_model() -> None:
    for code in RETRYABLE - {ErrorCode.CIRCUIT_OPEN}:
        assert model_of(step(code)) == A


def test_after_all_retries_the_next_model_follows_immediately() -> None:
    following = step(ErrorCode.SERVER_ERROR, tried=[A] * 4)
    assert following == NextAttempt(*B, delay_s=0)
    assert step(ErrorCode.SERVER_ERROR, current=C, tried=[A, B, C, C, C, C]) is None


def test_an_open_circuit_goes_to_the_next_model_or_waits() -> None:
    assert step(ErrorCode.CIRCUIT_OPEN) == NextAttempt(*B, delay_s=0)
    assert model_of(step(ErrorCode.CIRCUIT_OPEN, current=C)) == C


def test_waiting_for_a_circuit_uses_no_retry_but_is_limited() -> None:
    rejected_by_circuit = {"chain": [A], "tried": [], "retries": 1}
    for waited in range(1, CIRCUIT_WAITS_MAX + 1):
        assert model_of(step(ErrorCode.CIRCUIT_OPEN, waited=waited, **rejected_by_circuit)) == A  # type: ignore[arg-type]
    assert step(ErrorCode.CIRCUIT_OPEN, waited=CIRCUIT_WAITS_MAX + 1, **rejected_by_circuit) is None  # type: ignore[arg-type]


def test_without_retries_there_is_no_wait_for_a_circuit() -> None:
    assert step(ErrorCode.CIRCUIT_OPEN, chain=[A], tried=[], waited=1, retries=0) is None


def test_an_invalid_request_fails_but_an_invalid_key_tries_the_next_model() -> None:
    assert step(ErrorCode.INVALID_REQUEST) is None
    assert step(ErrorCode.CONTENT_FILTERED) is None
    assert step(ErrorCode.INTERNAL_ERROR) is None
    for code in TRY_ELSEWHERE:
        assert step(code) == NextAttempt(*B, delay_s=0)
        assert step(code, current=C) is None


def test_no_retries_means_one_attempt_per_model() -> None:
    assert model_of(step(ErrorCode.TIMEOUT, retries=0)) == B
    assert step(ErrorCode.TIMEOUT, chain=[A], retries=0) is None


def test_retry_after_is_honored() -> None:
    error = ProviderError(ErrorCode.RATE_LIMITED, "slow down", may_be_billed=False, retry_after_s=7)
    following = next_attempt(error, current=A, tried=[A], waited=0, chain=[A], max_retries=3)
    assert following is not None
    assert following.delay_s >= 7


@given(
    chain=st.lists(st.sampled_from([A, B, C]), min_size=1, max_size=3, unique=True),
    max_retries=st.integers(0, 4),
    errors=st.lists(st.sampled_from(ErrorCode), min_size=40, max_size=40),
)
def test_the_policy_terminates_and_follows_the_chain(
    chain: list[Model], max_retries: int, errors: list[ErrorCode]
) -> None:
    current, tried, waited = chain[0], list[Model](), 0
    for code in errors:
        if code is ErrorCode.CIRCUIT_OPEN:
            waited += 1
        else:
            tried.append(current)
        following = model_of(step(code, current, tried, chain, max_retries, waited))
        if following is None:
            break
        if following == current:
            assert code in RETRYABLE
        else:
            assert code in RETRYABLE | TRY_ELSEWHERE
            assert chain.index(following) == chain.index(current) + 1
        current = following
    else:
        raise AssertionError("it did not end")
    assert all(tried.count(model) <= max_retries + 1 for model in chain)
