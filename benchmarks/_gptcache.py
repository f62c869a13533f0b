"""The peer of `cache.py`: GPTCache with SQLite and faiss, in a separate environment that the benchmark creates. It
gets the same vectors as our cache, so its embedder costs nothing, and room for all entries (the default is 1,000).
It accepts a neighbor by distance alone (SearchDistanceEvaluation, as in GPTCache's `init_similar_cache`: a cosine of
0.60). Prints its figures as JSON.
"""

import sys

sys.path.pop(0)  # the folder of this script, where `queue.py` would hide the standard library's `queue`

import json
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from gptcache import Cache
from gptcache.adapter.api import get, put
from gptcache.manager import manager_factory
from gptcache.processor.pre import get_prompt
from gptcache.similarity_evaluation import SearchDistanceEvaluation

ADDS = 300
EXACT = 300
CHUNK = 1_000
ANSWER = (
    "The figures of the last quarter are in the report that the sites have sent, and they agree with the books. " * 6
)


def opened(folder: Path, vectors: dict[str, np.ndarray]) -> Cache:
    """GPTCache in a folder, with `vectors` as its embedder."""
    room = {"max_size": 10**7, "clean_size": 1}
    manager = manager_factory(
        "sqlite,faiss", data_dir=str(folder), vector_params={"dimension": 384}, eviction_params=room
    )
    cache = Cache()
    cache.init(
        pre_embedding_func=get_prompt,
        embedding_func=lambda text, **_: vectors[text],
        data_manager=manager,
        similarity_evaluation=SearchDistanceEvaluation(),
    )
    return cache


def timed(action: Callable[[], object]) -> float:
    """Milliseconds."""
    began = time.perf_counter()
    result = action()
    assert result == ANSWER, result
    return (time.perf_counter() - began) * 1000


def asked(cache: Cache, texts: Sequence[str]) -> list[float]:
    """The milliseconds of each lookup. All are hits."""
    return [timed(lambda text=text: get(text, cache_obj=cache)) for text in texts]


def added(cache: Cache, texts: Sequence[str]) -> list[float]:
    """The milliseconds of each write."""
    times = []
    for text in texts:
        began = time.perf_counter()
        put(text, ANSWER, cache_obj=cache)
        times.append((time.perf_counter() - began) * 1000)
    return times


def main(folder: Path, count: int) -> None:
    """Fill it in batches, then time hits and single writes."""
    texts = json.loads((folder / "texts.json").read_text())[:count]
    rows = np.load(folder / "vectors.npy", mmap_mode="r")[:count]
    questions = json.loads((folder / "questions.json").read_text())["long"]
    real = json.loads((folder / "real.json").read_text())
    further = [f"This is the further question number {number}, isn't it?" for number in range(ADDS)]
    vectors = dict(zip(texts, rows, strict=True))
    vectors |= dict(zip(questions, np.load(folder / "questions.npy"), strict=True))
    vectors |= dict(zip(further, rows[-ADDS:], strict=True))
    home = folder / f"gptcache-{count}"
    cache = opened(home, vectors)
    for start in range(0, count, CHUNK):
        some = texts[start : start + CHUNK]
        chunk = list(rows[start : start + CHUNK])
        cache.data_manager.import_data(some, [ANSWER] * len(some), chunk, [None] * len(some))
    figures = {"semantic": asked(cache, questions), "exact": asked(cache, texts[real : real + EXACT])}
    figures["add"] = added(cache, further)
    print(json.dumps(figures), flush=True)
    os._exit(0)  # a normal exit would write the whole index again


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
