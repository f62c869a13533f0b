"""Images that tools have returned. A tool message of OpenAI's dialect has only text: its images follow in the next
message of the user, as other gateways send them."""

from collections.abc import Sequence
from typing import Any

Part = dict[str, Any]
IN_NEXT_MESSAGE = "The result is in the next message."
"""The text of a tool message without any."""


def split(parts: Sequence[Part], call_id: Any) -> tuple[str, list[Part]]:
    """The text of a tool message, and what the user's next message begins with: nothing, if there are no images."""
    texts = [part["text"] for part in parts if part["type"] == "text"]
    images = [part for part in parts if part["type"] != "text"]
    if not images:
        return "\n\n".join(texts), []
    heading = {"type": "text", "text": f"Images from the tool call {call_id}:"}
    return "\n\n".join(texts) or IN_NEXT_MESSAGE, [heading, *images]
