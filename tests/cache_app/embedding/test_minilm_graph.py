"""The local embedder's graph returns the same vectors as the packaged model, at a lower cost."""

import pytest
from onnx import load
from pytest_django.fixtures import Settings

from cache_app.embedding.base import Payer, Vector
from cache_app.embedding.minilm import GRAPH, MiniLmEmbedder, packaged_model
from cache_app.embedding.minilm_graph import build

TEXTS = [
    "",
    "a",
    "How do I plan a garden?",
    "Emissions in 2023?",
    "無料ですか 🙂",
    "- * `x = y[0]` != None;",
    "How many tonnes of carbon did the plant in Ghent emit between April and June of this year? " * 20,
]


def vector_of(text: str) -> Vector:
    return MiniLmEmbedder().embed([text], Payer(0))[0]


def test_stored_graph_matches_the_build_script() -> None:
    assert load(GRAPH, load_external_data=False) == build(packaged_model())


@pytest.mark.parametrize("text", TEXTS)
def test_vectors_equal_those_of_the_packaged_model(settings: Settings, text: str) -> None:
    ours = vector_of(text)
    settings.EMBEDDER_MODEL_PATH = str(packaged_model())
    assert float(ours @ vector_of(text)) > 0.9999
