"""Token counts as clients report them."""

from typing import Annotated

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from aiinfra.api import WHOLE_FLOATS, ApiModel
from aiinfra.providers.base import TokenUsage

Tokens = Annotated[int, Field(ge=0, le=10**9), WHOLE_FLOATS]


class UsageIn(ApiModel):
    """Tokens as OpenAI counts them: promptTokens is the whole prompt, its cached parts included."""

    prompt_tokens: Tokens
    completion_tokens: Tokens
    total_tokens: Tokens | None = None
    cache_read_tokens: Tokens = 0
    cache_write_tokens: Tokens = 0
    reasoning_tokens: Tokens = 0

    @model_validator(mode="after")
    def _adds_up(self) -> "UsageIn":
        if self.cache_read_tokens + self.cache_write_tokens > self.prompt_tokens:
            raise PydanticCustomError("usage", "The cached parts are larger than the prompt.")
        if self.reasoning_tokens > self.completion_tokens:
            raise PydanticCustomError("usage", "Reasoning is a part of the completion.")
        if self.total_tokens not in (None, self.prompt_tokens + self.completion_tokens):
            raise PydanticCustomError("usage", "The total is not prompt and completion together.")
        return self

    def token_usage(self) -> TokenUsage:
        """In classes that do not overlap, as the ledger keeps them."""
        return TokenUsage(
            input=self.prompt_tokens - self.cache_read_tokens - self.cache_write_tokens,
            cache_read=self.cache_read_tokens,
            cache_write=self.cache_write_tokens,
            output=self.completion_tokens,
            reasoning=self.reasoning_tokens,
        )
