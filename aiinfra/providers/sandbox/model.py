"""The sandbox's language model: the same prompt always gets the same short answer."""

import hashlib
import json
import math
import random
import re
from collections import OrderedDict
from dataclasses import dataclass

from aiinfra.providers.base import TokenUsage
from aiinfra.providers.sandbox.forms import ToolCall
from aiinfra.providers.sandbox.schema_examples import Schema, example_of
from aiinfra.providers.tokens import count_tokens

TOKENS_PER_MESSAGE = 4
TOKENS_PER_PROMPT = 3
"""What the chat format adds around messages, like OpenAI's."""

REASONING_TOKENS = 48
PREFIX_STEP = 4096
PREFIXES_KEPT = 10_000
POSITIONS_PER_WORD = 8

_OPENING = "This is a sandbox answer, generated on this machine without a model."
_SENTENCES = [
    "You asked about {topic}, which a real model would answer at greater length.",
    "The short version: {topic} depends on what you compare it with, and on the time you have.",
    "Three things matter most for {topic}: a clear goal, a small first step, and a way to measure the result.",
    "A good start is to write down what you already know about {topic} and what you only assume.",
    "Most people who look into {topic} begin with the simplest case and add the exceptions later.",
    "If {topic} is urgent, first decide what can be left out.",
    "Figures on {topic} differ between sources, so note the source of each one.",
    "In practice {topic} is easier once two people have explained it to each other.",
    "There is no single right way to handle {topic}, but several approaches cost little to try.",
    "Keep an example of {topic} at hand: it settles more questions than a definition.",
]


@dataclass(frozen=True)
class Prompt:
    """A chat request, independent of the dialect. `caches`: whether the provider may reuse a known prefix.

    `call` is the tool call that the answer is, and `schema` the form of an answer in JSON.
    """

    provider: str
    model: str
    messages: tuple[tuple[str, str], ...]
    max_tokens: int | None
    stream: bool
    stream_usage: bool
    caches: bool
    bills_cache_writes: bool = False
    call: ToolCall | None = None
    schema: Schema | None = None

    @property
    def last_message(self) -> str:
        """The text that faults match against."""
        return self.messages[-1][1]


@dataclass(frozen=True)
class Answer:
    """The model's text or tool call, and its usage; `finish_reason` in OpenAI's terms."""

    content: str
    finish_reason: str
    usage: TokenUsage
    call: ToolCall | None = None


class PrefixCache:
    """Simulated prompt caching.

    The first n x 4,096 characters of a prompt count as cached if an earlier prompt to the same provider and model began
    with them; their share of the prompt's tokens is rounded down. Remembers the last 10,000 prefixes.
    """

    def __init__(self) -> None:
        self._seen: OrderedDict[bytes, None] = OrderedDict()

    def known_length(self, owner: str, text: str) -> int:
        """The length of the longest known prefix in characters; then remembers the prefixes of this text."""
        digest, known = hashlib.sha256(owner.encode("utf-8", "replace")), 0
        for end in range(PREFIX_STEP, len(text) + 1, PREFIX_STEP):
            digest.update(text[end - PREFIX_STEP : end].encode("utf-8", "replace"))
            key = digest.digest()
            if key in self._seen:
                known = end
            self._seen[key] = None
            self._seen.move_to_end(key)
        while len(self._seen) > PREFIXES_KEPT:
            self._seen.popitem(last=False)
        return known


def compose(prompt: Prompt, prefixes: PrefixCache, *, filtered: bool = False) -> Answer:
    """Answer a prompt within its token limit; a filtered answer is empty but its prompt is billed."""
    limit = math.inf if prompt.max_tokens is None else prompt.max_tokens
    reasoning = 0 if filtered or "reasoner" not in prompt.model else int(min(REASONING_TOKENS, limit))
    whole = "" if filtered else _whole(prompt)
    content, tokens = _cut(whole, limit - reasoning)
    usage = _usage(prompt, prefixes, output=tokens + reasoning, reasoning=reasoning)
    if filtered:
        return Answer("", "content_filter", usage)
    if prompt.call and content == whole:
        return Answer("", "tool_calls", usage, prompt.call)
    return Answer(content, "stop" if content == whole else "length", usage)


def embed(text: str, dimensions: int) -> list[float]:
    """A unit vector that depends only on the words, so that texts with many common words are close to each other."""
    vector = [0.0] * dimensions
    for word in re.findall(r"\w+", text.lower()) or [""]:
        source = random.Random(word)
        for _ in range(POSITIONS_PER_WORD):
            vector[source.randrange(dimensions)] += source.choice((-1.0, 1.0))
    length = math.hypot(*vector)
    return [value / length for value in vector] if length else [1.0, *vector[1:]]


def _whole(prompt: Prompt) -> str:
    """The model's full answer, before any token limit."""
    if prompt.call:
        return f"{prompt.call.name} {prompt.call.arguments}"
    return _prose(prompt) if prompt.schema is None else json.dumps(example_of(prompt.schema))


def _prose(prompt: Prompt) -> str:
    source = random.Random(hashlib.sha256(_rendered(prompt).encode("utf-8", "replace")).digest())
    words = re.findall(r"[^\W\d_]{4,24}", prompt.last_message[:2000].lower())
    topic = max(words, key=len, default="this")
    sentences = source.sample(_SENTENCES, source.randint(2, 5))
    return " ".join([_OPENING, *(sentence.format(topic=topic) for sentence in sentences)])


def _cut(text: str, limit: float) -> tuple[str, int]:
    """As many leading words as the limit allows, and their token count."""
    tokens = count_tokens(text)
    words = text.split(" ")
    while tokens > limit:
        words.pop()
        text = " ".join(words)
        tokens = count_tokens(text)
    return text, tokens


def _usage(prompt: Prompt, prefixes: PrefixCache, output: int, reasoning: int) -> TokenUsage:
    text = _rendered(prompt)
    tokens = count_tokens(text) + TOKENS_PER_MESSAGE * len(prompt.messages) + TOKENS_PER_PROMPT
    if not prompt.caches:
        return TokenUsage(input=tokens, output=output, reasoning=reasoning)
    known = prefixes.known_length(f"{prompt.provider}/{prompt.model}", text)
    cache_read = tokens * known // max(len(text), 1)
    written = len(text) // PREFIX_STEP * PREFIX_STEP - known if prompt.bills_cache_writes else 0
    cache_write = tokens * written // max(len(text), 1)
    return TokenUsage(tokens - cache_read - cache_write, cache_read, cache_write, output, reasoning)


def _rendered(prompt: Prompt) -> str:
    return "".join(text for _, text in prompt.messages)
