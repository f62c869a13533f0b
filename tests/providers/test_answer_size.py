"""Answers that are too large, before or after decompression."""

import gzip
import tracemalloc
import zlib
from collections.abc import Callable, Iterator

import pytest

from aiinfra.providers.adapters.cleaning import read_json
from aiinfra.providers.base import ChatAnswer, ErrorCode, ProviderAdapter, ProviderError
from tests.providers.fake_server import BODY_BYTES, FakeServer, fake_server, gzipped, http, outcome

BOMB = 60 * 1024 * 1024


@pytest.fixture(scope="module")
def fake() -> Iterator[FakeServer]:
    with fake_server() as running:
        yield running


@pytest.fixture(scope="module", params=["openai", "anthropic"])
def adapter(request: pytest.FixtureRequest, fake: FakeServer) -> ProviderAdapter:
    return fake.adapter(request.param)


def body(size: int) -> bytes:
    """An answer of `size` bytes in OpenAI's dialect."""
    head, tail = b'{"choices":[{"finish_reason":"stop","message":{"content":"', b'"}}]}'
    return head + b"x" * (size - len(head) - len(tail)) + tail


BOMBS: dict[str, Callable[[bytes], bytes]] = {
    "plain": http,
    "gzip": gzipped,
    "deflate": lambda text: http(zlib.compress(text, level=1), Content_Encoding="deflate"),
    "gzip twice": lambda text: http(gzip.compress(gzip.compress(text, 1)), Content_Encoding="gzip, gzip"),
}


@pytest.mark.parametrize("kind", BOMBS)
def test_reading_stops_at_the_size_limit(adapter: ProviderAdapter, fake: FakeServer, kind: str) -> None:
    fake.will_answer(BOMBS[kind](body(BOMB)))
    tracemalloc.start()
    error = outcome(adapter)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert isinstance(error, ProviderError)
    assert (error.code, error.may_be_billed) == (ErrorCode.ANSWER_TOO_LARGE, True)
    assert str(BODY_BYTES) in error.message
    assert peak < 10 * BODY_BYTES


@pytest.mark.parametrize(("size", "fits"), [(BODY_BYTES, True), (BODY_BYTES + 1, False)])
@pytest.mark.parametrize("write", [http, gzipped])
def test_limit_applies_to_decoded_bytes(fake: FakeServer, size: int, fits: bool, write: object) -> None:
    fake.will_answer(write(body(size)))  # type: ignore[operator]
    assert isinstance(outcome(fake.adapter()), ChatAnswer) is fits


def test_large_error_body_is_truncated(adapter: ProviderAdapter, fake: FakeServer) -> None:
    fake.will_answer(http(body(BOMB), 503))
    error = outcome(adapter)
    assert isinstance(error, ProviderError)
    assert (error.code, error.may_be_billed, error.status) == (ErrorCode.SERVER_ERROR, False, 503)


@pytest.mark.parametrize("body", [b"[" + b"[]," * 600_000 + b"1]", b"[" + b"1," * 1_000_001 + b"1]"])
def test_json_with_too_many_members_is_refused_early(body: bytes) -> None:
    with pytest.raises(ValueError, match="too many members"):
        read_json(body)


def test_long_string_does_not_count_as_members() -> None:
    words = "x" * 2_000_000
    assert read_json(f'["{words}"]'.encode()) == [words]
