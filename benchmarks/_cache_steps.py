"""The steps of `cache.py` inside an installation. Each runs in a separate process and prints its figures as JSON.

`python -m benchmarks._cache_steps STEP ...` in the installation's environment. A figure can be a list of milliseconds.
"""

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "aiinfra.settings")
django.setup()

import numpy as np
import psutil

from aiinfra.providers.base import TokenUsage
from aiinfra.tenants.models import Organization
from aiinfra.tenants.scope import organization_scope
from cache_app import lookup, writing
from cache_app.answers import LookupResult, NewEntry
from cache_app.embedding import vector_cache
from cache_app.embedding.base import Payer, Vector
from cache_app.embedding.registry import configured_embedder
from cache_app.guards.decision import decide
from cache_app.index.registry import configured_index
from cache_app.question import Question, entry_id
from cache_app.store import entries
from cache_app.store.entry import Entry

PAIRS = Path(__file__).resolve().parent.parent / "tests" / "cache_app" / "guards" / "pairs.jsonl"
FRAME = "The handbook and its pages for new colleagues do not say this: {}"
"""Extends questions of 7 words to about 20. Longer ones take longer to embed."""
PROVIDER, MODEL = "deepseek", "deepseek-chat"
ANSWER = (
    "The figures of the last quarter are in the report that the sites have sent, and they agree with the books. " * 6
)
NOISE = 0.9
"""Length of the noise added to a mixture of two questions, so that its similarity to any asked question is below 0.75.
"""
DAY_MS = 86_400_000
ADDS = 300
EXACT = 300
ROUNDS = 5
THREADS = 8
SECONDS = float(os.environ.get("SECONDS", "5"))


def prepare(folder: Path, count: int) -> dict[str, float]:
    """Write texts, vectors and questions for `count` entries, real ones first, then generated ones."""
    rows = [json.loads(line) for line in PAIRS.read_text(encoding="utf-8").splitlines()]
    plain = [(row["a"], row["b"]) for row in rows if row["same"] and row["a"] != row["b"]]
    framed = [(FRAME.format(a), FRAME.format(b)) for a, b in plain]
    vectors = _embedded({text for pair in plain + framed for text in pair})
    short, long = (_served(pairs, vectors) for pairs in (plain, framed))
    cached = list(dict.fromkeys(a for a, _ in short + long))
    made = _mixed(np.stack(list(vectors.values())), count - len(cached))
    np.save(folder / "vectors.npy", np.concatenate([np.stack([vectors[text] for text in cached]), made]))
    texts = [*cached, *(f"This is the made question number {number}, isn't it?" for number in range(len(made)))]
    _write(folder, "texts", texts)
    _write(folder, "questions", {"short": [b for _, b in short], "long": [b for _, b in long]})
    np.save(folder / "questions.npy", np.stack([vectors[b] for _, b in long]))
    _write(folder, "real", len(cached))
    return {"asked": len(long), "words": float(np.median([len(b.split()) for _, b in long]))}


def _embedded(texts: set[str]) -> dict[str, Vector]:
    embed = configured_embedder().embed
    return {text: embed([text], Payer(0))[0] for text in sorted(texts)}


def _served(pairs: Sequence[tuple[str, str]], vectors: dict[str, Vector]) -> list[tuple[str, str]]:
    scale = configured_embedder().scale
    return [(a, b) for a, b in pairs if decide(a, b, float(vectors[a] @ vectors[b]), scale.edge, scale).serve]


def _mixed(real: Vector, count: int) -> Vector:
    """Unit vectors between pairs of real ones, with noise."""
    random = np.random.default_rng(4)
    share = random.random((count, 1), np.float32)
    one, other = real[random.integers(len(real), size=(2, count))]
    made = _unit(share * one + (1 - share) * other)
    return _unit(made + NOISE * _unit(random.standard_normal(made.shape, np.float32)))


def _unit(rows: Vector) -> Vector:
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def fill(folder: Path, slug: str, count: int) -> dict[str, Any]:
    """Store entries of one organization in one partition, then time further ones."""
    mine, texts, vectors = _organization(slug), _read(folder, "texts"), np.load(folder / "vectors.npy", mmap_mode="r")
    partition = _look_up_none(mine).partition
    # Asked questions are stored last, because further entries evict the oldest.
    for number in reversed(range(count)):
        entries.put(_entry(mine, partition, texts[number]), vector=np.array(vectors[number]))
    more = [f"This is the further question number {number}, isn't it?" for number in range(2 * ADDS)]
    put, keep = [], []
    for number, text in enumerate(more):
        vector = np.array(vectors[number])
        if number % 2:
            entry = _entry(mine, partition, text)
            put.append(_timed(lambda entry=entry, vector=vector: entries.put(entry, vector=vector)))
        else:
            cache_key = replace(lookup.prepare(_question(mine, text)).cache_key, vector=vector)
            keep.append(_timed(lambda cache_key=cache_key: writing.store_answer(cache_key, FETCHED)))
    return {"put": put, "keep": keep}


FETCHED = NewEntry({"role": "assistant", "content": ANSWER, "finishReason": "stop"}, TokenUsage(), PROVIDER, MODEL)


def _look_up_none(organization_id: int) -> Any:
    return lookup.prepare(_question(organization_id, "What are the working hours of the office?")).cache_key


def _entry(organization_id: int, partition: str, text: str) -> Entry:
    now_ms = round(time.time() * 1000)
    return Entry(
        id=entry_id(partition, text),
        organization_id=organization_id,
        partition=partition,
        question=text,
        response=FETCHED.response,
        usage=FETCHED.usage,
        provider=PROVIDER,
        model=MODEL,
        created_ms=now_ms,
        expires_ms=now_ms + DAY_MS,
    )


def look(folder: Path, slug: str, count: int) -> dict[str, Any]:
    """Measure one process with an organization of `count` entries, starting with a cold index."""
    mine, questions = _organization(slug), _read(folder, "questions")
    remember(0)
    short, long = questions["short"], questions["long"]
    texts, real = _read(folder, "texts"), _read(folder, "real")
    embed = configured_embedder().embed
    embed(long[:1], Payer(mine))
    before = psutil.Process().memory_info().rss
    figures: dict[str, Any] = cold(mine, long, count)
    figures["index_mb"] = configured_index().nbytes / 1e6  # type: ignore[attr-defined]
    figures["grown_mb"] = (psutil.Process().memory_info().rss - before) / 1e6
    figures["embedder"] = [_timed(lambda text=text: embed([text], Payer(mine))) for text in long]
    figures["semantic"] = _semantic(mine, long)
    figures["semantic_short"] = _semantic(mine, short)
    remember(len(long))
    look_up_all(mine, long)
    figures["semantic_known"] = _semantic(mine, long)
    remember(0)
    figures["exact"] = look_up_all(mine, texts[real : real + EXACT], layer="exact")
    figures["exact_again"] = look_up_all(mine, texts[real : real + EXACT], layer="exact")
    figures["one"] = at_once(mine, long, threads=1)
    figures["quiet"] = at_once(mine, long)
    figures["busy"], figures["written_per_s"] = while_written(mine, long, folder, slug)
    figures["rss_mb"] = psutil.Process().memory_info().rss / 1e6
    return figures


def remember(count: int) -> None:
    """Keep this many vectors in memory. With 0, repeated questions are embedded again."""
    vector_cache.clear_vectors()
    vector_cache.REMEMBERED_MAX = count


def cold(organization_id: int, questions: Sequence[str], count: int) -> dict[str, Any]:
    """Look up continuously until the index, empty at first, has every vector."""
    whole = count * configured_embedder().dimensions * 2
    began, times = time.perf_counter(), list[float]()
    while configured_index().nbytes < whole:  # type: ignore[attr-defined]
        text = questions[len(times) % len(questions)]
        times.append(_timed(lambda text=text: _look(organization_id, text)))
    return {"cold_s": time.perf_counter() - began, "cold": times}


def _semantic(organization_id: int, questions: Sequence[str]) -> list[float]:
    return [ms for _ in range(ROUNDS) for ms in look_up_all(organization_id, questions)]


def look_up_all(organization_id: int, questions: Sequence[str], *, layer: str = "semantic") -> list[float]:
    """The milliseconds of each lookup. Raises AssertionError on a miss."""
    times = []
    for text in questions:
        began = time.perf_counter()
        found = _look(organization_id, text)
        times.append((time.perf_counter() - began) * 1000)
        assert found.hit, (text, found.reason, found.explanation)
        assert found.hit.layer == layer, (text, found.hit)
    return times


def at_once(organization_id: int, questions: Sequence[str], threads: int = THREADS) -> list[float]:
    """Look up continuously in several threads, embedder included."""
    times: list[float] = []
    end = time.perf_counter() + SECONDS

    def run(number: int) -> None:
        with organization_scope(organization_id):
            place = number
            while time.perf_counter() < end:
                text = questions[place % len(questions)]
                times.append(_timed(lambda text=text: _look(organization_id, text)))
                place += threads

    running = [threading.Thread(target=run, args=(number,)) for number in range(threads)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    return times


def while_written(organization_id: int, questions: Sequence[str], folder: Path, slug: str) -> tuple[list[float], float]:
    """The same while another process writes as fast as it can, and its entries per second."""
    command = [sys.executable, "-m", "benchmarks._cache_steps", "write", str(folder), slug, "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout
        assert writer.stdout.readline() == "ready\n"
        times = at_once(organization_id, questions)
        return times, json.loads(writer.communicate()[0])["written"] / SECONDS


def write(folder: Path, slug: str, _count: int) -> dict[str, int]:
    """Store generated entries in the same partition for some seconds, so that none replaces an asked question."""
    mine, vectors = _organization(slug), np.array(np.load(folder / "vectors.npy", mmap_mode="r")[-1000:])
    partition = _look_up_none(mine).partition
    print("ready", flush=True)
    end, written = time.perf_counter() + SECONDS, 0
    while time.perf_counter() < end:
        text = f"This is the question number {written} of the writer, isn't it?"
        entries.put(_entry(mine, partition, text), vector=vectors[written % len(vectors)])
        written += 1
    return {"written": written}


def _look(organization_id: int, text: str) -> LookupResult:
    return lookup.look_up(_question(organization_id, text), Payer(organization_id))


def _question(organization_id: int, text: str) -> Question:
    return Question(organization_id, PROVIDER, MODEL, [{"role": "user", "content": text}])


def _timed(action: Callable[[], object]) -> float:
    began = time.perf_counter()
    action()
    return (time.perf_counter() - began) * 1000


def _organization(slug: str) -> int:
    return int(Organization.objects.get(slug=slug).id)


def _write(folder: Path, name: str, content: Any) -> None:
    (folder / f"{name}.json").write_text(json.dumps(content), encoding="utf-8")


def _read(folder: Path, name: str) -> Any:
    return json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))


def main(step: str, folder: str, *arguments: str) -> None:
    """Run one step, in the organization's scope if it has one."""
    if step == "prepare":
        print(json.dumps(prepare(Path(folder), int(arguments[0]))))
        return
    slug, count = arguments
    with organization_scope(_organization(slug)):
        print(json.dumps({"fill": fill, "look": look, "write": write}[step](Path(folder), slug, int(count))))


if __name__ == "__main__":
    main(*sys.argv[1:])
