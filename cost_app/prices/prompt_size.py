"""How long a prompt can be at most, in tokens, before any provider has counted it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from aiinfra.providers.dialects.rejections import REFERENCE
from aiinfra.providers.dialects.tool_changes import references
from aiinfra.providers.tokens import BYTES_PER_TOKEN
from cost_app.models import BoundMode

TOKENS_PER_MESSAGE = 16
"""Upper bound of what a chat format adds around one message: role, separators, reply priming."""
TOKENS_FOR_TOOLS = 1_024
"""Upper bound of the hidden instructions that a provider adds to a call with tools; Anthropic's are the longest."""
IMAGE_TOKENS = 16_384
"""Upper bound for one image: the largest documented count is 10,000 patches with a factor of 1.62."""
IMAGE_TOKENS_BY_FAMILY = {"gpt-4o-mini": 48_169}
"""Models that count more for an image, by the beginning of their names: 2,833 + 8 tiles of 5,667."""
IMAGES = ("image_url", "image", "input_image")
"""Types of content parts that hold an image, in all dialects. No set: a client's `type` may be an object."""
COUNTED_MARGIN_PERCENT = 10
COUNTED_MARGIN_TOKENS = 64
NO_PARAMETERS: Mapping[str, Any] = {}


@dataclass(frozen=True)
class PromptSize:
    """What decides the length of a prompt: its texts, and what is counted in other ways."""

    texts: Sequence[str]
    messages: int
    images: int = 0
    has_tools: bool = False
    predicted: str = ""
    """OpenAI's predicted output: what the answer does not use of it is billed as output."""

    def tokens(self, mode: str, model: str) -> int:
        """The maximum number of prompt tokens: STRICT by bytes, NORMAL by OpenAI's tokenizer and a margin."""
        counted = self._most_bytes if mode == BoundMode.STRICT else min(self._most_bytes, self._counted)
        return counted + self.images * _tokens_per_image(model) + TOKENS_FOR_TOOLS * self.has_tools

    @property
    def further_output(self) -> int:
        """Output tokens that can be billed in addition to the answer."""
        return len(self.predicted.encode("utf-8", "surrogatepass"))

    @cached_property
    def asks_for_hour_cache(self) -> bool:
        """Whether a part may carry `cache_control` with `ttl` 1h, which is passed on to Anthropic."""
        return any("ttl" in text and "1h" in text for text in self.texts)

    @cached_property
    def _most_bytes(self) -> int:
        size = sum(len(text.encode("utf-8", "surrogatepass")) for text in self.texts)
        return size + self.messages * TOKENS_PER_MESSAGE

    @cached_property
    def _counted(self) -> int:
        """Without a tokenizer, the bytes. Imported late: the tokenizer takes 1.5 s and 140 MB on first use."""
        from aiinfra.providers.tokens import count_tokens, has_tokenizer

        if not has_tokenizer():
            return self._most_bytes
        count = sum(count_tokens(text) for text in self.texts)
        return -(-count * (100 + COUNTED_MARGIN_PERCENT) // 100) + COUNTED_MARGIN_TOKENS


def size_of(messages: Sequence[Mapping[str, Any]], parameters: Mapping[str, Any] = NO_PARAMETERS) -> PromptSize:
    """The size of a call: everything in its messages and parameters, with images counted apart."""
    values = [value for message in messages for value in message.values()]
    images = sum(1 for value in values for _ in _images_in(value))
    texts = [str(_without_images(value) if images else value) for value in [*values, *parameters.values()]]
    if any(REFERENCE in text for text in texts):
        texts += _definitions(values, parameters.get("tools") or ())
    return PromptSize(
        texts=texts,
        messages=len(messages),
        images=images,
        has_tools=bool(parameters.get("tools") or parameters.get("functions")),
        predicted=str(parameters.get("prediction") or ""),
    )


def _definitions(values: Sequence[Any], tools: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """The definition of each tool that a message refers to: Anthropic adds it to the prompt every time.

    One that a message has defined is as long as all messages at most.
    """
    declared = {tool.get("name"): str(tool) for tool in tools}
    for name in references(values):
        yield declared.get(name) or str(values)


def estimated_tokens(messages: Sequence[Mapping[str, Any]], parameters: Mapping[str, Any], model: str) -> int:
    """About how many tokens a prompt has, from its length alone: what it may be at most is several times as much."""
    size = size_of(messages, parameters)
    return -(-size.tokens(BoundMode.STRICT, model) // BYTES_PER_TOKEN)


def _images_in(value: object) -> Iterator[object]:
    if isinstance(value, Mapping):
        if value.get("type") in IMAGES:
            yield value
            return
        value = list(value.values())
    if isinstance(value, list | tuple):
        for child in value:
            yield from _images_in(child)


def _without_images(value: Any) -> Any:
    """The value without its images, whose number of tokens does not depend on their data."""
    if isinstance(value, Mapping):
        return "" if value.get("type") in IMAGES else {name: _without_images(child) for name, child in value.items()}
    return [_without_images(child) for child in value] if isinstance(value, list | tuple) else value


def _tokens_per_image(model: str) -> int:
    name = model.rpartition("/")[2]
    of_family = (tokens for family, tokens in IMAGE_TOKENS_BY_FAMILY.items() if name.startswith(family))
    return next(of_family, IMAGE_TOKENS)
