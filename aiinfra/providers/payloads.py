"""Token counts as clients report them."""

from typing import Annotated

from pydantic import Field, StringConstraints, model_validator
from pydantic_core import PydanticCustomError

from aiinfra.api import WHOLE_FLOATS, ApiModel
from aiinfra.providers.base import TokenUsage

Tokens = Annotated[int, Field(ge=0, le=10**9), WHOLE_FLOATS]
Tool = Annotated[str, StringConstraints(pattern=r"^[a-z0-9_-]{1,40}$")]
Uses = Annotated[int, Field(ge=0, le=10_000), WHOLE_FLOATS]


class UsageIn(ApiModel):
    """Tokens as OpenAI counts them: promptTokens is the whole prompt, including its cached parts.

    `cacheWrite1hTokens` is the part of `cacheWriteTokens` that lives 1 hour, `toolUses` counts tools that are billed
    per use, such as `{"web_search": 2}`.
    """

    prompt_tokens: Tokens
    completion_tokens: Tokens
    total_tokens: Tokens | None = None
    cache_read_tokens: Tokens = 0
    cache_write_tokens: Tokens = 0
    cache_write_1h_tokens: Annotated[Tokens, Field(alias="cacheWrite1hTokens")] = 0
    reasoning_tokens: Tokens = 0
    tool_uses: Annotated[dict[Tool, Uses], Field(max_length=20)] = {}

    @model_validator(mode="after")
    def _adds_up(self) -> "UsageIn":
        if self.cache_read_tokens + self.cache_write_tokens > self.prompt_tokens:
            raise PydanticCustomError("usage", "The cached parts can't exceed the prompt.")
        if self.cache_write_1h_tokens > self.cache_write_tokens:
            raise PydanticCustomError("usage", "1-hour cache writes can't exceed cache writes.")
        if self.reasoning_tokens > self.completion_tokens:
            raise PydanticCustomError("usage", "Reasoning can't exceed the completion.")
        if self.total_tokens not in (None, self.prompt_tokens + self.completion_tokens):
            raise PydanticCustomError("usage", "The total must equal prompt plus completion.")
        return self

    def token_usage(self) -> TokenUsage:
        """The disjoint token classes that the ledger stores."""
        return TokenUsage(
            input=self.prompt_tokens - self.cache_read_tokens - self.cache_write_tokens,
            cache_read=self.cache_read_tokens,
            cache_write=self.cache_write_tokens - self.cache_write_1h_tokens,
            output=self.completion_tokens,
            reasoning=self.reasoning_tokens,
            cache_write_1h=self.cache_write_1h_tokens,
            tool_uses={tool: uses for tool, uses in self.tool_uses.items() if uses},
        )
