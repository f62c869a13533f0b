"""Translates a call to its provider's API format."""

from collections.abc import Mapping, Sequence
from typing import Any

from aiinfra.providers.base import Dialect
from aiinfra.providers.dialects.anthropic_to_openai import to_openai
from aiinfra.providers.dialects.deepseek import check_deepseek, for_deepseek
from aiinfra.providers.dialects.openai_to_anthropic import to_anthropic
from aiinfra.providers.dialects.rejections import CallRejectedError, check_call
from aiinfra.providers.dialects.shapes import check_shape

Messages = Sequence[Mapping[str, Any]]


def dialect_of(provider: str) -> Dialect:
    """The dialect that a provider speaks."""
    return Dialect.ANTHROPIC if provider == "anthropic" else Dialect.OPENAI


def anthropic_body(dialect: Dialect, messages: Messages, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """The call for Anthropic, without the model and the token limit. Raises CallRejectedError."""
    if dialect == Dialect.ANTHROPIC:
        return {"messages": list(messages), **parameters}
    return to_anthropic(messages, parameters)


def openai_body(provider: str, dialect: Dialect, messages: Messages, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """The call for a server that speaks OpenAI's dialect, without the model and the limit. Raises CallRejectedError."""
    if provider == "deepseek":
        check_deepseek(messages, parameters)
    turns, given = [dict(each) for each in messages], dict(parameters)
    if dialect == Dialect.ANTHROPIC:
        turns, given = to_openai(messages, parameters)
    if provider == "deepseek":
        turns = for_deepseek(turns)
    return {"messages": turns, **given}


def can_express(provider: str, dialect: Dialect, messages: Messages, parameters: Mapping[str, Any]) -> bool:
    """Whether a provider's dialect can express a call, so that a fallback may go there."""
    try:
        check_expressible(provider, dialect, messages, parameters)
    except CallRejectedError:
        return False
    return True


def check_expressible(provider: str, dialect: Dialect, messages: Messages, parameters: Mapping[str, Any]) -> None:
    """Raise CallRejectedError for a call that may not be sent, or that the provider's dialect cannot express."""
    check_shape(dialect, messages, parameters)
    check_call(messages, parameters)
    if dialect_of(provider) == Dialect.ANTHROPIC:
        anthropic_body(dialect, messages, parameters)
    else:
        openai_body(provider, dialect, messages, parameters)
