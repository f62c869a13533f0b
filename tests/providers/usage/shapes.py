"""Usage formats that providers send: each with its meaning, and its cost at `PRICES`."""

from typing import Any

from aiinfra.providers.base import TokenUsage
from tests.providers.usage.cached_shapes import CACHE_READS, CACHE_WRITES, CACHE_WRITES_1H, HOUR
from tests.providers.usage.shape import PLAIN, Shape, chat


def thinking(tokens: Any) -> dict[str, Any]:
    return {"completion_tokens_details": {"reasoning_tokens": tokens}}


THINKING_OUTSIDE = [
    Shape("outside the completion", chat(total_tokens=80, **thinking(50)), TokenUsage(20, 0, 0, 60, 50), 620_000),
    Shape(
        "far outside", chat(total_tokens=5_030, **thinking(5_000)), TokenUsage(20, 0, 0, 5_010, 5_000), 50_120_000
    ),
    Shape("without details", chat(total_tokens=80), TokenUsage(20, 0, 0, 60), 620_000),
    Shape("details that explain a part", chat(total_tokens=90, **thinking(50)), TokenUsage(20, 0, 0, 70, 50), 720_000),
    Shape("without a total", chat(total_tokens=None, **thinking(50)), TokenUsage(20, 0, 0, 60, 50), 620_000),
    Shape("inside", chat(**thinking(5)), TokenUsage(20, 0, 0, 10, 5), 120_000),
    Shape(
        "Gemini's own names",
        {"promptTokenCount": 18, "toolUsePromptTokenCount": 2, "candidatesTokenCount": 10, "thoughtsTokenCount": 50,
         "totalTokenCount": 80},
        TokenUsage(20, 0, 0, 60, 50),
        620_000,
    ),
    Shape(
        "Gemini's own names, nothing but thinking after a tool",
        {"promptTokenCount": 18, "toolUsePromptTokenCount": 2, "thoughtsTokenCount": 50, "totalTokenCount": 70},
        TokenUsage(20, 0, 0, 50, 50),
        520_000,
    ),
    Shape(
        "Gemini's own names, no total",
        {"promptTokenCount": 20, "candidatesTokenCount": 60, "thoughtsTokenCount": 50},
        TokenUsage(20, 0, 0, 110, 50),
    ),
    Shape(
        "Gemini's own names, no total and nothing but thinking",
        {"promptTokenCount": 20, "thoughtsTokenCount": 50},
        TokenUsage(20, 0, 0, 50, 50),
    ),
    Shape(
        "Gemini's own names, inside by the total",
        {"promptTokenCount": 20, "candidatesTokenCount": 60, "thoughtsTokenCount": 50, "totalTokenCount": 80},
        TokenUsage(20, 0, 0, 60, 50),
    ),
    Shape(
        "Gemini's client library",
        {"prompt_token_count": 20, "candidates_token_count": 10, "thoughts_token_count": 50, "total_token_count": 80},
        TokenUsage(20, 0, 0, 60, 50),
    ),
    Shape(
        "Perplexity's deep research",
        {"prompt_tokens": 33, "completion_tokens": 7_163, "total_tokens": 7_196, "citation_tokens": 20_016,
         "num_search_queries": 30, "reasoning_tokens": 95_305},
        TokenUsage(20_049, 0, 0, 102_468, 95_305, tool_uses={"web_search": 30}),
    ),
    Shape(
        "outside, as is the cache",
        chat(total_tokens=88, cached_tokens=8, **thinking(50)),
        TokenUsage(20, 8, 0, 60, 50),
        620_800,
    ),
    Shape("nothing but thinking", chat(completion_tokens=0, total_tokens=70), TokenUsage(20, 0, 0, 50), 520_000),
]  # fmt: skip
IMPOSSIBLE = [
    Shape("nothing", None, None),
    Shape("a list", [], None),
    Shape("a text", "usage", None),
    Shape("no counts", {}, None),
    Shape("nulls", chat(prompt_tokens=None, completion_tokens=None, total_tokens=None), None),
    Shape("zeros", chat(prompt_tokens=0, completion_tokens=0, total_tokens=0), None),
    Shape("no prompt", chat(prompt_tokens=0, total_tokens=10), None),
    Shape("no output", chat(completion_tokens=0, total_tokens=20), None),
    Shape("half of the counts", {"prompt_tokens": 20}, None),
    Shape("a total alone", {"total_tokens": 30}, None),
    Shape("negative", chat(prompt_tokens=-1), None),
    Shape("a fraction", chat(prompt_tokens=20.5), None),
    Shape("infinite", chat(prompt_tokens=float("inf")), None),
    Shape("no number", chat(prompt_tokens="many"), None),
    Shape("a signed text", chat(prompt_tokens="+20"), None),
    Shape("true", chat(prompt_tokens=True), None),
    Shape("huge", chat(prompt_tokens=10**12, total_tokens=10**12 + 10), None),
    Shape("a huge total", chat(total_tokens=10**9), None),
    Shape("a total that is too small", chat(total_tokens=29), None),
    Shape("more cached than sent", chat(prompt_tokens_details={"cached_tokens": 21}), None),
    Shape("a negative share", chat(prompt_tokens_details={"cached_tokens": -1}), None),
    Shape("details that are none", chat(prompt_tokens_details=3), None),
    Shape("more thinking than output in the total", chat(**thinking(11)), None),
    Shape("parts that do not add up", chat(prompt_cache_hit_tokens=4, prompt_cache_miss_tokens=5), None),
    Shape("more missed than sent", chat(prompt_cache_miss_tokens=21), None),
    Shape("two cached shares", chat(prompt_cache_hit_tokens=4, prompt_tokens_details={"cached_tokens": 3}), None),
    Shape("two prompts", chat(input_tokens=25), None),
    Shape("two outputs", chat(output_tokens=11), None),
    Shape(
        "more written for an hour than written",
        chat(cache_creation_input_tokens=5, cache_creation={"ephemeral_1h_input_tokens": 6}),
        None,
    ),
]
HARMLESS = [
    Shape("plain", chat(), PLAIN, 120_000),
    Shape("whole floats", chat(prompt_tokens=20.0, completion_tokens=10.0, total_tokens=30.0), PLAIN, 120_000),
    Shape("texts", chat(prompt_tokens="20", completion_tokens="10", total_tokens="30"), PLAIN, 120_000),
    Shape("fractions of zero", chat(prompt_tokens="20.0", completion_tokens=" 10 "), PLAIN, 120_000),
    Shape("no total", chat(total_tokens=None), PLAIN, 120_000),
    Shape("a total of zero", chat(total_tokens=0), PLAIN, 120_000),
    Shape("output from the total", chat(completion_tokens=None), PLAIN, 120_000),
    Shape("prompt from the total", {"completion_tokens": 10, "total_tokens": 30}, PLAIN, 120_000),
    Shape("null details", chat(prompt_tokens_details=None, completion_tokens_details=None), PLAIN, 120_000),
    Shape("empty details as PHP writes them", chat(prompt_tokens_details=[], completion_tokens_details=[]), PLAIN),
    Shape("an empty share as PHP writes it", chat(prompt_tokens_details={"cached_tokens": []}), PLAIN, 120_000),
    Shape("Ollama", {"prompt_eval_count": 20, "eval_count": 10, "total_duration": 7}, PLAIN, 120_000),
    Shape("Llama on Bedrock", {"prompt_token_count": 20, "generation_token_count": 10}, PLAIN, 120_000),
    Shape("watsonx", {"input_token_count": 20, "generated_token_count": 10}, PLAIN, 120_000),
    Shape(
        "Cohere, which bills less than it reads",
        {"billed_units": {"input_tokens": 20, "output_tokens": 10}, "tokens": {"input_tokens": 600},
         "cached_tokens": 400},
        PLAIN,
        120_000,
    ),
    Shape("null shares", chat(prompt_tokens_details={"cached_tokens": None}, **thinking(None)), PLAIN, 120_000),
    Shape("zeros of another dialect", chat(input_tokens=0, output_tokens=0, input_tokens_details=None), PLAIN),
    Shape("the same in another dialect", chat(input_tokens=20, output_tokens=10), PLAIN),
    Shape(
        "another dialect that counts without the cache",
        chat(input_tokens=12, output_tokens=10, cache_read_input_tokens=8),
        TokenUsage(12, 8, 0, 10),
    ),
    Shape("this dialect in zeros", {"prompt_tokens": 0, "completion_tokens": 0, "input_tokens": 20,
                                    "output_tokens": 10, "total_tokens": 30}, PLAIN),
    Shape("unknown members", chat(queue_time=0.018, prompt_time=0.002, x={"y": [1]}), PLAIN, 120_000),
]  # fmt: skip
STEPS = [
    Shape("a compaction before the answer", {
        "input_tokens": 12, "output_tokens": 4, "cache_read_input_tokens": 0, "cache_creation_input_tokens": 0,
        "iterations": [{"type": "compaction", "input_tokens": 8, "output_tokens": 6},
                       {"type": "message", "input_tokens": 12, "output_tokens": 4}]}, PLAIN),
    Shape("one step that the top level counts", {
        "input_tokens": 20, "output_tokens": 10, "cache_creation_input_tokens": 0,
        "iterations": [{"type": "message", "input_tokens": 20, "output_tokens": 10}]}, PLAIN),
    Shape("a step of another model", {
        "input_tokens": 20, "output_tokens": 10, "cache_creation_input_tokens": 0,
        "iterations": [{"type": "message", "input_tokens": 20, "output_tokens": 10},
                       {"type": "advisor_message", "model": "claude-opus-4-6", "input_tokens": 900,
                        "output_tokens": 90}]}, PLAIN),
    Shape("steps with a cache of an hour", {
        "input_tokens": 2, "output_tokens": 4, "cache_creation_input_tokens": 5,
        "cache_creation": {"ephemeral_1h_input_tokens": 5},
        "iterations": [
            {"type": "compaction", "input_tokens": 10, "output_tokens": 6, "cache_creation_input_tokens": 3,
             "cache_creation": {"ephemeral_5m_input_tokens": 3, "ephemeral_1h_input_tokens": 0}},
            {"type": "message", "input_tokens": 2, "output_tokens": 4, "cache_creation_input_tokens": 5,
             "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 5}}]}, HOUR),
    Shape("a step that is no count", {
        "input_tokens": 20, "output_tokens": 10, "cache_creation_input_tokens": 0,
        "iterations": [{"type": "message", "input_tokens": "many", "output_tokens": 10}]}, None),
    Shape("steps that are no list", {"input_tokens": 20, "output_tokens": 10, "iterations": 3}, PLAIN),
]  # fmt: skip
BESIDE_TOKENS = [
    Shape("OpenAI's own tier", chat(service_tier="default"), PLAIN, 120_000),
    Shape("the tier that was asked for", chat(service_tier="auto"), PLAIN, 120_000),
    Shape("flex", chat(service_tier="flex"), TokenUsage(20, output=10, tier="flex")),
    Shape("priority", chat(service_tier="Priority"), TokenUsage(20, output=10, tier="priority")),
    Shape("scale", chat(service_tier="scale"), TokenUsage(20, output=10, tier="scale")),
    Shape("a tier that is no name", chat(service_tier={"a": 1}), PLAIN),
    Shape(
        "searches",
        chat(server_tool_use={"web_search_requests": 2, "web_fetch_requests": 0}),
        TokenUsage(20, output=10, tool_uses={"web_search": 2}),
    ),
    Shape(
        "fetches and sandboxes",
        chat(server_tool_use={"web_fetch_requests": 3, "code_execution_requests": 1}),
        TokenUsage(20, output=10, tool_uses={"code_execution": 1, "web_fetch": 3}),
    ),
    Shape(
        "xAI's tools",
        chat(server_side_tool_usage_details={"x_search_calls": 3, "mcp_calls": 0}, num_sources_used=4),
        TokenUsage(20, output=10, tool_uses={"live_search": 4, "x_search": 3}),
    ),
    Shape("Perplexity's", chat(num_search_queries=2), TokenUsage(20, output=10, tool_uses={"web_search": 2})),
    Shape("unreadable tools", chat(server_tool_use={"web_search_requests": -1, "x y": 1, "z": "many"}), PLAIN),
    Shape("OpenRouter's cost", chat(cost=0.00062), TokenUsage(20, output=10, reported_nano=620_000)),
    Shape(
        "the customer's own key",
        chat(cost=0.00002, is_byok=True, cost_details={"upstream_inference_cost": 0.0006}),
        TokenUsage(20, output=10, reported_nano=620_000),
    ),
    Shape(
        "a cost that is part of the other",
        chat(cost=0.00062, is_byok=False, cost_details={"upstream_inference_cost": 0.0006}),
        TokenUsage(20, output=10, reported_nano=620_000),
    ),
    Shape("a cost as a text", chat(cost="0.00062"), TokenUsage(20, output=10, reported_nano=620_000)),
    Shape(
        "Perplexity's cost",
        chat(cost={"input_tokens_cost": 0.0001, "total_cost": 0.00062}),
        TokenUsage(20, output=10, reported_nano=620_000),
    ),
    Shape("xAI's ticks", chat(cost_in_usd_ticks=6_200_000), TokenUsage(20, output=10, reported_nano=620_000)),
    Shape("a nano-dollar begun", chat(cost=1e-10), TokenUsage(20, output=10, reported_nano=1)),
    Shape("a cost next to a zero", chat(cost=0, total_cost=0.00062), TokenUsage(20, output=10, reported_nano=620_000)),
    Shape("a free call", chat(cost=0), TokenUsage(20, output=10, reported_nano=0)),
    *(Shape(f"the cost {cost!r}", chat(cost=cost), PLAIN, 120_000)
      for cost in (-1, 1e9, True, "much", float("nan"), float("inf"), None, [], "9" * 5000)),
]  # fmt: skip
SHAPES = [
    *THINKING_OUTSIDE,
    *IMPOSSIBLE,
    *HARMLESS,
    *CACHE_READS,
    *CACHE_WRITES,
    *CACHE_WRITES_1H,
    *STEPS,
    *BESIDE_TOKENS,
]
