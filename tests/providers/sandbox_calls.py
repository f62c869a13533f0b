"""Calls to the sandbox."""

from typing import Any

CHAT = "/openai/v1/chat/completions"
MESSAGES = "/anthropic/v1/messages"


def question(text: str = "How do I plan a garden?", **more: Any) -> dict[str, Any]:
    return {"model": "gpt-4", "messages": [{"role": "user", "content": text}], "max_tokens": 200, **more}
