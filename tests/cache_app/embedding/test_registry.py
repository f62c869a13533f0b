import subprocess
import sys

import pytest
from django.core.exceptions import ImproperlyConfigured
from pytest_django.fixtures import Settings

from cache_app.embedding.minilm import MiniLmEmbedder
from cache_app.embedding.openai import OpenAiEmbedder
from cache_app.embedding.registry import EMBEDDERS, configured_embedder, embedder_named


def test_the_local_embedder_is_the_default() -> None:
    assert isinstance(configured_embedder(), MiniLmEmbedder)


def test_the_setting_selects_the_embedder(settings: Settings) -> None:
    settings.CACHE_EMBEDDER = "openai"
    assert isinstance(configured_embedder(), OpenAiEmbedder)


def test_each_embedder_is_created_once_per_process() -> None:
    assert embedder_named("minilm") is embedder_named("minilm")


def test_embedders_have_distinct_ids() -> None:
    assert len({embedder_named(name).id for name in EMBEDDERS}) == len(EMBEDDERS)


def test_an_unknown_embedder_raises_an_error_that_names_the_setting(settings: Settings) -> None:
    settings.CACHE_EMBEDDER = "word2vec"
    with pytest.raises(ImproperlyConfigured, match=r"CACHE_EMBEDDER.*word2vec.*minilm"):
        configured_embedder()


def test_reading_an_embedder_s_id_loads_no_library() -> None:
    program = """
import os, sys
os.environ["DJANGO_SETTINGS_MODULE"] = "aiinfra.settings"
import django
django.setup()
from cache_app.embedding.registry import embedder_named
assert embedder_named("minilm").id and embedder_named("openai").id
print(sorted({"onnxruntime", "tokenizers", "openai"} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120)
    assert (done.stdout.strip(), done.returncode) == ("[]", 0), done.stderr
