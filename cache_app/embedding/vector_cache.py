"""The configured embedder as lookups use it: with a cache of vectors, and a circuit breaker.

Both are per process. Vectors are stored by partition and text: by text alone, an organization could learn from a
response that is a few milliseconds faster that another one had asked the same question.
"""

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass

from cache_app.embedding.base import TEXTS_A_CALL, EmbedderError, EmbedderRefusedError, Payer, Vector
from cache_app.embedding.registry import configured_embedder

logger = logging.getLogger(__name__)

REMEMBERED_MAX = 1_000
FAILURES_MAX = 5
SLOW_S = 2.0
PAUSE_S = 60.0


@dataclass(frozen=True)
class EmbedderState:
    """The embedder as this process sees it: consecutive failures, including slow runs, and seconds until the next
    probe.

    `working` is False while the circuit is open, until a probe succeeds; `probe_in_s` is 0 while it works.
    """

    id: str
    working: bool
    failures: int
    probe_in_s: float


class _Memory:
    """Vectors by partition and text; the least recently used is evicted first."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._vectors: OrderedDict[tuple[str, str], Vector] = OrderedDict()

    def find(self, partition: str, text: str) -> Vector | None:
        with self._lock:
            if (partition, text) in self._vectors:
                self._vectors.move_to_end((partition, text))
            return self._vectors.get((partition, text))

    def keep(self, partition: str, text: str, vector: Vector) -> None:
        vector.flags.writeable = False  # shared by many lookups
        with self._lock:
            self._vectors[partition, text] = vector
            self._vectors.move_to_end((partition, text))
            if len(self._vectors) > REMEMBERED_MAX:
                self._vectors.popitem(last=False)

    def clear(self) -> None:
        with self._lock:
            self._vectors.clear()


class _Circuit:
    """Opens after `FAILURES_MAX` consecutive failures; then lets one probe per pause through."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._failures = 0
        self._probe_at: float | None = None

    def enter(self) -> None:
        """Raises EmbedderError while the circuit is open."""
        with self._lock:
            if self._probe_at is None:
                return
            if time.monotonic() < self._probe_at:
                raise EmbedderError("the embedder failed too often and is not called for now")
            self._probe_at = time.monotonic() + PAUSE_S  # for the others; a probe that never ends blocks no one

    def went_well(self) -> None:
        with self._lock:
            self._failures, self._probe_at = 0, None

    def failed(self) -> None:
        with self._lock:
            self._failures += 1
            if self._failures >= FAILURES_MAX:
                self._probe_at = time.monotonic() + PAUSE_S

    def was_inconclusive(self) -> None:
        """The run did not show the embedder's health. If it was the probe, the next run becomes the probe."""
        with self._lock:
            if self._probe_at is not None:
                self._probe_at = time.monotonic()

    def state(self) -> tuple[int, float | None]:
        """Consecutive failures, and seconds until the next probe; None while the circuit is closed."""
        with self._lock:
            wait = None if self._probe_at is None else max(self._probe_at - time.monotonic(), 0.0)
            return self._failures, wait


_memory = _Memory()
_circuit = _Circuit()
_refused: dict[tuple[int, str], float] = {}
"""By organization and text: when a refused text may be batched with others again (monotonic)."""


def embed_for_lookup(text: str, partition: str, payer: Payer) -> Vector:
    """The vector of one text; do not modify it. `partition` includes the embedder's ID.

    Raises EmbedderError, and immediately for `PAUSE_S` seconds after `FAILURES_MAX` consecutive runs that failed or
    took longer than `SLOW_S`. Like `embed`, not for use inside a transaction.
    """
    vector = _memory.find(partition, text)
    if vector is None:
        (vector,) = _embedded([text], payer)
        _memory.keep(partition, text, vector)
    return vector


def embed_together(wanted: Iterable[tuple[str, str]], payer: Payer) -> dict[tuple[str, str], Vector]:
    """The vectors of (text, partition) pairs, `TEXTS_A_CALL` texts per run. Texts that cannot be embedded now are
    missing.

    A refused text costs the others only a few more runs: its batch is halved until the text is alone, and then it is
    not retried for `PAUSE_S`. Not for use inside a transaction.
    """
    pairs = list(dict.fromkeys(wanted))
    vectors = {pair: vector for pair in pairs if (vector := _memory.find(pair[1], pair[0])) is not None}
    texts = dict.fromkeys(text for text, partition in pairs if (text, partition) not in vectors)
    missing = [text for text in texts if not _is_refused(text, payer)]
    found: dict[str, Vector] = {}
    try:
        for start in range(0, len(missing), TEXTS_A_CALL):
            _embed_what_is_taken(missing[start : start + TEXTS_A_CALL], payer, found)
    except EmbedderError as error:
        logger.info("some texts cannot be embedded for now: %s", error)
    for text, partition in pairs:
        if text in found and (text, partition) not in vectors:
            vectors[text, partition] = found[text]
            _memory.keep(partition, text, found[text])
    return vectors


def _embed_what_is_taken(texts: list[str], payer: Payer, found: dict[str, Vector]) -> None:
    """Raises EmbedderError if the embedder is unavailable; vectors embedded before that are in `found`."""
    try:
        found.update(zip(texts, _embedded(texts, payer), strict=True))
    except EmbedderRefusedError:
        if len(texts) == 1:
            _refused[payer.organization_id, texts[0]] = time.monotonic() + PAUSE_S
            return
        half = len(texts) // 2
        for part in (texts[:half], texts[half:]):
            _embed_what_is_taken(part, payer, found)


def _is_refused(text: str, payer: Payer) -> bool:
    if len(_refused) > REMEMBERED_MAX:
        _refused.clear()
    return time.monotonic() < _refused.get((payer.organization_id, text), 0)


def embedder_state() -> EmbedderState:
    """For health checks and statistics. Loads nothing."""
    failures, wait = _circuit.state()
    return EmbedderState(configured_embedder().id, wait is None, failures, wait or 0.0)


def clear_vectors() -> None:
    """Drop all vectors and failures, for when settings change in a running process."""
    _memory.clear()
    _refused.clear()
    _circuit.went_well()


def _embedded(texts: list[str], payer: Payer) -> list[Vector]:
    _circuit.enter()
    try:
        embedder = configured_embedder()
        embedder.prepare()
        started = time.monotonic()
        vectors = embedder.embed(texts, payer)
    except EmbedderRefusedError:
        _circuit.was_inconclusive()
        raise
    except EmbedderError:
        _circuit.failed()
        raise
    if time.monotonic() - started > SLOW_S:
        _circuit.failed()
    else:
        _circuit.went_well()
    return vectors
