"""How providers and gateways spell their token counts. A new spelling needs only a line here.

A path goes through nested objects: `prompt_tokens_details.cached_tokens`. Sources: the API references of OpenAI,
Anthropic, DeepSeek, xAI, Google, Mistral, Moonshot, Alibaba, Perplexity, Cohere, Amazon, IBM and Ollama, and those of
LangChain, Vercel, OpenRouter, LiteLLM and new-api, as of November 2026.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Dialect:
    """Where one family of APIs puts the counts that make up the sum.

    `prompt_has_cache` says whether the prompt's count includes what was read from and written to a prompt cache.
    `also_prompt` and `also_output` are parts that are counted apart, and not in a total where `total_has_parts` is
    False. Where `marks` are given, one of them must be there and `foreign` must not. `has_shares` is False where cached
    tokens are no part of the prompt's count.
    """

    name: str
    prompt: str
    output: str
    total: str = ""
    prompt_has_cache: bool = True
    also_prompt: str = ""
    also_output: str = ""
    total_has_parts: bool = True
    has_shares: bool = True
    marks: tuple[str, ...] = ()
    foreign: str = ""


ANTHROPIC = Dialect("Anthropic messages", "input_tokens", "output_tokens", prompt_has_cache=False)
DIALECTS = (
    Dialect(
        "Perplexity's deep research, whose total leaves out what it read and thought",
        "prompt_tokens",
        "completion_tokens",
        "total_tokens",
        also_prompt="citation_tokens",
        also_output="reasoning_tokens",
        total_has_parts=False,
        marks=("citation_tokens",),
    ),
    Dialect("OpenAI chat completions", "prompt_tokens", "completion_tokens", "total_tokens"),
    Dialect(
        "Anthropic messages through a gateway",
        "input_tokens",
        "output_tokens",
        "total_tokens",
        prompt_has_cache=False,
        marks=("cache_read_input_tokens", "cache_creation_input_tokens"),
        foreign="input_tokens_details",
    ),
    Dialect("OpenAI responses", "input_tokens", "output_tokens", "total_tokens"),
    Dialect(
        "Google Gemini",
        "promptTokenCount",
        "candidatesTokenCount",
        "totalTokenCount",
        also_prompt="toolUsePromptTokenCount",
        also_output="thoughtsTokenCount",
    ),
    Dialect(
        "Google Gemini's client library",
        "prompt_token_count",
        "candidates_token_count",
        "total_token_count",
        also_prompt="tool_use_prompt_token_count",
        also_output="thoughts_token_count",
        marks=("candidates_token_count", "total_token_count"),
    ),
    Dialect(
        "Vercel's client library",
        "inputTokens",
        "outputTokens",
        "totalTokens",
        marks=("cachedInputTokens", "inputTokenDetails"),
    ),
    Dialect("Amazon Bedrock Converse", "inputTokens", "outputTokens", "totalTokens", prompt_has_cache=False),
    Dialect("OpenRouter's and Vercel's older client libraries", "promptTokens", "completionTokens", "totalTokens"),
    Dialect("Cohere", "billed_units.input_tokens", "billed_units.output_tokens", has_shares=False),
    Dialect("Ollama", "prompt_eval_count", "eval_count"),
    Dialect("Llama on Amazon Bedrock", "prompt_token_count", "generation_token_count"),
    Dialect("IBM watsonx", "input_token_count", "generated_token_count"),
)
"""Ordered: the first dialect with counts present applies."""

CACHE_READ = (
    "prompt_tokens_details.cached_tokens",  # OpenAI, xAI, OpenRouter and most others
    "input_tokens_details.cached_tokens",  # OpenAI responses
    "prompt_cache_hit_tokens",  # DeepSeek
    "cached_tokens",  # Moonshot, Together, StepFun
    "num_cached_tokens",  # Mistral
    "prompt_token_details.cached_tokens",  # Mistral
    "input_token_details.cache_read",  # LangChain
    "inputTokenDetails.cacheReadTokens",  # Vercel
    "cachedInputTokens",
    "cache_read_input_tokens",  # Anthropic, LiteLLM, Portkey
    "cache_read_tokens",
    "cacheReadInputTokens",  # Bedrock
    "cacheReadInputTokenCount",
    "cachedContentTokenCount",  # Gemini
    "cached_content_token_count",
)
CACHE_MISS = "prompt_cache_miss_tokens"
"""DeepSeek's count of prompt tokens that were not in the cache."""
CACHE_WRITE = (
    "cache_creation_input_tokens",  # Anthropic; LiteLLM and others repeat it in an OpenAI usage
    "prompt_tokens_details.cache_write_tokens",  # OpenRouter, LiteLLM
    "prompt_tokens_details.cache_creation_tokens",  # LiteLLM
    "prompt_tokens_details.cache_creation_input_tokens",  # Alibaba
    "prompt_tokens_details.cached_creation_tokens",  # new-api
    "input_tokens_details.cache_write_tokens",
    "input_tokens_details.cache_creation_tokens",
    "cache_creation_tokens",
    "cache_write_tokens",
    "cache_write_input_tokens",
    "input_token_details.cache_creation",  # LangChain
    "inputTokenDetails.cacheWriteTokens",  # Vercel
    "cacheWriteInputTokens",  # Bedrock
    "cacheWriteInputTokenCount",
)
"""All cache writes, whatever their lifetime."""
CACHE_WRITE_5M = (
    "cache_creation.ephemeral_5m_input_tokens",  # Anthropic
    "prompt_tokens_details.cache_creation.ephemeral_5m_input_tokens",  # Alibaba
    "prompt_tokens_details.cache_creation_token_details.ephemeral_5m_input_tokens",  # LiteLLM
    "cache_creation_5m_input_tokens",
    "claude_cache_creation_5_m_tokens",  # new-api
)
CACHE_WRITE_1H = (
    "cache_creation.ephemeral_1h_input_tokens",
    "prompt_tokens_details.cache_creation.ephemeral_1h_input_tokens",
    "prompt_tokens_details.cache_creation_token_details.ephemeral_1h_input_tokens",
    "cache_creation_1h_input_tokens",
    "claude_cache_creation_1_h_tokens",
)
WRITES_BY_TTL = "cacheDetails"
"""Bedrock's list of cache writes, with a `ttl` and `inputTokens` each."""
WRITES_OF_TTL = {"5m": "cache_creation_5m_input_tokens", "1h": "cache_creation_1h_input_tokens"}
STEPS = "iterations"
"""Anthropic's list of the steps of one call."""
STEP_COUNTS = ("input_tokens", "output_tokens", "cache_read_input_tokens", "cache_creation_input_tokens")
STEP_WRITES = "cache_creation"
STEP_MODEL = "model"
"""Only steps of another model name it."""
REASONING = (
    "completion_tokens_details.reasoning_tokens",  # OpenAI, DeepSeek, xAI and most others
    "output_tokens_details.reasoning_tokens",  # OpenAI responses
    "output_tokens_details.thinking_tokens",  # Anthropic
    "completion_tokens_details.thinking_tokens",
    "reasoning_tokens",  # Perplexity
    "output_token_details.reasoning",  # LangChain
    "outputTokenDetails.reasoningTokens",  # Vercel
    "reasoningTokens",
    "thoughtsTokenCount",  # Gemini
    "thoughts_token_count",
)

TIER = "service_tier"
TIERS = {
    "": "standard",
    "auto": "standard",
    "default": "standard",
    "on_demand": "standard",  # Groq
    "on-demand": "standard",
    "standard": "standard",
}
"""Other names for the standard tier. Any other name is a tier of that name."""

TOOL_USES = (
    "server_tool_use",  # Anthropic, OpenRouter
    "server_tool_use_details",
    "server_side_tool_usage_details",  # xAI
    "server_side_tool_usage",
    "tool_usage",
)
"""Objects with a count for each tool: `web_search_requests` and `web_search_calls` are uses of `web_search`."""
TOOL_PREFIX = "server_side_tool_"
TOOL_SUFFIXES = ("_requests", "_calls", "_uses")
TOOL_COUNTS = {
    "num_search_queries": "web_search",  # Perplexity
    "web_search_requests": "web_search",
    "prompt_tokens_details.web_search_requests": "web_search",  # LiteLLM
    "server_tool_use_web_search_requests": "web_search",
    "num_sources_used": "live_search",  # xAI bills its search per source
}
"""Separate counts of single tools."""

COSTS = ("cost", "cost.total_cost", "total_cost", "cost_usd", "cost_details.total_cost", "estimated_cost")
"""In dollars: OpenRouter, Perplexity, gateways, DeepInfra. The first non-zero one counts."""
UPSTREAM_COST = "cost_details.upstream_inference_cost"
"""In dollars: what OpenRouter's upstream provider charged; with the customer's own key, `cost` excludes it."""
OWN_KEY = "is_byok"
TICKS = "cost_in_usd_ticks"
"""xAI's unit of cost: 10,000,000,000 per dollar."""
