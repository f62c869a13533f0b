"""Bodies of provider answers in both dialects."""

from typing import Any

USAGE = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}
CALLS = [{"id": "c1", "type": "function", "function": {"name": "add", "arguments": '{"a": 1}'}}]


def completion(message: object, reason: object = "stop", **more: Any) -> dict[str, Any]:
    return {"choices": [{"index": 0, "message": message, "finish_reason": reason}], "usage": USAGE, **more}


def says(content: object, reason: object = "stop") -> dict[str, Any]:
    return completion({"role": "assistant", "content": content}, reason)


def text(words: str) -> dict[str, Any]:
    return {"type": "text", "text": words}


def message(content: object, reason: object = "end_turn", **more: Any) -> dict[str, Any]:
    usage = {"input_tokens": 10, "output_tokens": 5}
    return {"type": "message", "content": content, "stop_reason": reason, "usage": usage, **more}
