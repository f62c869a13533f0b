"""Usage formats of prompts that are read from or written to a provider's cache."""

from aiinfra.providers.base import TokenUsage
from tests.providers.usage.shape import Shape, chat

READ = TokenUsage(input=12, cache_read=8, output=10)
CACHE_READS = [
    Shape("OpenAI", chat(prompt_tokens_details={"cached_tokens": 8}), READ, 112_800),
    Shape("DeepSeek", chat(prompt_cache_hit_tokens=8, prompt_cache_miss_tokens=12), READ, 112_800),
    Shape("DeepSeek's misses alone", chat(prompt_cache_miss_tokens=12), READ, 112_800),
    Shape("misses in zeros", chat(prompt_cache_hit_tokens=8, prompt_cache_miss_tokens=0), READ, 112_800),
    Shape("Moonshot", chat(cached_tokens=8), READ, 112_800),
    Shape("Mistral", chat(num_cached_tokens=8), READ, 112_800),
    Shape("Mistral's other details", chat(prompt_token_details={"cached_tokens": 8}), READ, 112_800),
    Shape("LiteLLM", chat(cache_read_input_tokens=8), READ, 112_800),
    Shape(
        "one spelling in zeros",
        chat(prompt_cache_hit_tokens=0, prompt_tokens_details={"cached_tokens": 8}),
        READ,
        112_800,
    ),
    Shape(
        "misses of a spelling in zeros",
        chat(prompt_cache_hit_tokens=0, prompt_cache_miss_tokens=20, prompt_tokens_details={"cached_tokens": 8}),
        READ,
        112_800,
    ),
    Shape("one spelling in nulls", chat(prompt_tokens_details={"cached_tokens": None}, cached_tokens=8), READ, 112_800),
    Shape(
        "OpenAI responses",
        {"input_tokens": 20, "input_tokens_details": {"cached_tokens": 8}, "output_tokens": 10, "total_tokens": 30},
        READ,
        112_800,
    ),
    Shape(
        "LangChain",
        {"input_tokens": 20, "output_tokens": 10, "total_tokens": 30, "input_token_details": {"cache_read": 8}},
        READ,
        112_800,
    ),
    Shape(
        "Vercel",
        {"inputTokens": 20, "outputTokens": 10, "totalTokens": 30, "inputTokenDetails": {"cacheReadTokens": 8}},
        READ,
        112_800,
    ),
    Shape(
        "Vercel, short",
        {"inputTokens": 20, "outputTokens": 10, "totalTokens": 30, "cachedInputTokens": 8},
        READ,
        112_800,
    ),
    Shape(
        "Bedrock's other name",
        {"inputTokens": 12, "outputTokens": 10, "cacheReadInputTokenCount": 8, "totalTokens": 30},
        READ,
        112_800,
    ),
    Shape("a prompt that excludes the cache", chat(prompt_tokens=12, cached_tokens=8, total_tokens=30), READ, 112_800),
    Shape(
        "Bedrock, whose total has the cache",
        {"inputTokens": 12, "outputTokens": 10, "cacheReadInputTokens": 8, "totalTokens": 30},
        READ,
        112_800,
    ),
    Shape(
        "Bedrock, whose total has not",
        {"inputTokens": 12, "outputTokens": 10, "cacheReadInputTokens": 8, "totalTokens": 22},
        READ,
        112_800,
    ),
]
WRITTEN = TokenUsage(input=12, cache_write=8, output=10)
CACHE_WRITES = [
    Shape(spelling, chat(**counts), WRITTEN, 122_000)
    for spelling, counts in {
        "top level": {"cache_creation_input_tokens": 8},
        "top level, short": {"cache_creation_tokens": 8},
        "OpenRouter": {"prompt_tokens_details": {"cache_write_tokens": 8}},
        "LiteLLM": {"prompt_tokens_details": {"cache_creation_tokens": 8}},
        "LiteLLM, all of them": {
            "cache_creation_input_tokens": 8,
            "prompt_tokens_details": {"cached_tokens": 0, "cache_creation_tokens": 8, "cache_write_tokens": 8},
        },
        "Alibaba": {"prompt_tokens_details": {"cache_creation_input_tokens": 8}},
        "new-api": {"prompt_tokens_details": {"cached_creation_tokens": 8}, "claude_cache_creation_5_m_tokens": 8},
        "5 minutes alone": {"cache_creation": {"ephemeral_5m_input_tokens": 8}},
    }.items()
]
HOUR = TokenUsage(input=12, cache_write=3, cache_write_1h=5, output=10)
CACHE_WRITES_1H = [
    Shape("Anthropic's", chat(cache_creation_input_tokens=8, cache_creation={"ephemeral_5m_input_tokens": 3,
                                                                              "ephemeral_1h_input_tokens": 5}), HOUR),
    Shape("the rest lives 5 minutes", chat(cache_creation_input_tokens=8, cache_creation={
        "ephemeral_1h_input_tokens": 5}), HOUR),
    Shape("LiteLLM", chat(prompt_tokens_details={"cache_creation_tokens": 8, "cache_creation_token_details": {
        "ephemeral_5m_input_tokens": 3, "ephemeral_1h_input_tokens": 5}}), HOUR),
    Shape("new-api", chat(cache_creation_input_tokens=8, claude_cache_creation_1_h_tokens=5), HOUR),
    Shape("Bedrock", {"inputTokens": 12, "outputTokens": 10, "totalTokens": 30, "cacheWriteInputTokens": 8,
                      "cacheDetails": [{"ttl": "1h", "inputTokens": 5}, {"ttl": "5m", "inputTokens": 3}]}, HOUR),
    Shape("Bedrock, several writes of one lifetime", {
        "inputTokens": 12, "outputTokens": 10, "cacheWriteInputTokens": 8,
        "cacheDetails": [{"ttl": "1h", "inputTokens": 2}, {"ttl": "1h", "inputTokens": 3}]}, HOUR),
    Shape("Bedrock, more by lifetime than in all", {
        "inputTokens": 12, "outputTokens": 10, "cacheWriteInputTokens": 4,
        "cacheDetails": [{"ttl": "1h", "inputTokens": 5}]}, None),
    Shape("Bedrock, a lifetime that is no count", {
        "inputTokens": 12, "outputTokens": 10, "cacheWriteInputTokens": 8,
        "cacheDetails": [{"ttl": "1h", "inputTokens": -5}]}, None),
]  # fmt: skip
