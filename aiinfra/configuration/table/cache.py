"""The semantic cache."""

from aiinfra.configuration import kinds
from aiinfra.configuration.setting import Setting

CACHE_EMBEDDER = Setting(
    "CACHE_EMBEDDER",
    kinds.Choice("minilm", "openai"),
    "minilm",
    "`minilm` (on this machine) or `openai` (text-embedding-3-small, paid by the organization that sends the request). "
    "Answers cached with one embedder are not found with the other.",
)
EMBEDDER_MODEL_PATH = Setting(
    "EMBEDDER_MODEL_PATH",
    kinds.Text("a path"),
    "",
    "An ONNX file of all-MiniLM-L6-v2 that replaces the packaged one. Its hash is not checked. Every host needs the "
    "same file.",
    "the packaged model",
)
CACHE_INDEX = Setting(
    "CACHE_INDEX",
    kinds.Choice("matrix", "vector_set"),
    "matrix",
    "`matrix` (numpy, in each process) or `vector_set` (in Redis 8 and later).",
)
CACHE_INDEX_MB = Setting(
    "CACHE_INDEX_MB",
    kinds.Whole(1, 1_000_000),
    200,
    "Megabytes for the matrices of one process; the least recently used are dropped first.",
)
