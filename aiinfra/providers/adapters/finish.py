"""Finish reasons in OpenAI's terms, and whether a result counts as an answer."""

import re

from aiinfra.providers.adapters import errors
from aiinfra.providers.adapters.cleaning import one_line
from aiinfra.providers.base import ChatAnswer

REASON_LENGTH = 64

STOP, LENGTH, TOOL_CALLS, FILTERED = "stop", "length", "tool_calls", "content_filter"
_SAME = {
    TOOL_CALLS: TOOL_CALLS,
    FILTERED: FILTERED,
    "end_turn": STOP,
    "stop_sequence": STOP,
    "complete": STOP,
    "completed": STOP,
    "eos": STOP,
    "eos_token": STOP,
    "endoftext": STOP,
    "max_tokens": LENGTH,
    "max_output_tokens": LENGTH,
    "max_length": LENGTH,
    "model_length": LENGTH,
    "model_context_window_exceeded": LENGTH,
    "tool_use": TOOL_CALLS,
    "tool_call": TOOL_CALLS,
    "function_call": TOOL_CALLS,
    "refusal": FILTERED,
    "safety": FILTERED,
    "recitation": FILTERED,
    "blocklist": FILTERED,
    "prohibited_content": FILTERED,
    "spii": FILTERED,
    "content_filtered": FILTERED,
    "guardrail_intervened": FILTERED,
    "sensitive": FILTERED,
}
"""Other words for the same, of Anthropic, text-generation-inference, Mistral, Gemini, Bedrock, Cohere, Zhipu and old
OpenAI servers."""
_FAILED = re.compile(
    r"error|fail|abort|cancel|timeout|time_limit|insufficient|overload|interrupt|unavailable|malformed"
)
"""Finish reasons for server failures, such as DeepSeek's `insufficient_system_resource`."""


def finish_reason_of(raw: object) -> str:
    """The finish reason in OpenAI's terms; an unknown one unchanged, "" if there is none."""
    word = one_line(raw, REASON_LENGTH) if isinstance(raw, str) else ""
    return _SAME.get(word.lower().replace("-", "_"), word.lower() if word.isupper() else word)


def checked(answer: ChatAnswer) -> ChatAnswer:
    """Return the answer. Raises ProviderError if a filter emptied it or it has no content."""
    reason, says_something = answer.finish_reason, bool(answer.tool_calls) or not is_blank(answer.content)
    if reason == FILTERED and not says_something:
        raise errors.content_filtered(answer.usage, answer.raw_usage)
    if not reason:
        raise errors.empty_answer("The provider sent no finish reason.", answer.usage, answer.raw_usage)
    if _FAILED.search(reason.lower()):
        raise errors.empty_answer(f"The provider gave up on its answer: {reason}.", answer.usage, answer.raw_usage)
    if not says_something and reason != LENGTH:
        raise errors.empty_answer("The provider's answer has no text and no tool call.", answer.usage, answer.raw_usage)
    return answer


def is_blank(text: str) -> bool:
    """Whether a text has no content: only whitespace and replaced characters."""
    return not text.replace("\ufffd", "").strip()
