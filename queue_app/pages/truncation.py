"""Truncates long prompts and answers: a page with megabytes of text is slow, and nobody reads all of it."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from queue_app.pages.conversation import Block, Tool, Turn, answer_blocks, other_parameters, tools_of, turns_of
from queue_app.queries import RequestStatus

CHARACTERS_MAX = 100_000
"""Of a prompt, of its tools and parameters, and of an answer."""
TURNS_MAX = 200


@dataclass
class Truncation:
    """Truncates the texts of one part of the page so that together they stay within the limit."""

    shown: int = field(default=0, init=False)
    """Characters on the page."""
    total: int = field(default=0, init=False)
    """Characters of all texts, on the page or not."""

    @property
    def is_cut(self) -> bool:
        """Whether anything was truncated."""
        return self.shown < self.total

    def text(self, text: str) -> str:
        """As much of the next text as fits."""
        shortened = text[: CHARACTERS_MAX - self.shown]
        self.shown += len(shortened)
        self.total += len(text)
        return shortened

    def blocks(self, blocks: Iterable[Block]) -> list[Block]:
        """The blocks that fit, the last one perhaps in part."""
        cut = ((block, self.text(block.text)) for block in blocks)
        return [replace(block, text=text) for block, text in cut if text or not block.text]

    def turns(self, turns: list[Turn]) -> list[Turn]:
        """The turns that fit, at most `TURNS_MAX`."""
        cut = [(turn, self.blocks(turn.blocks)) for turn in turns[:TURNS_MAX]]
        self.total += sum(len(block.text) for turn in turns[TURNS_MAX:] for block in turn.blocks)
        return [replace(turn, blocks=blocks) for turn, blocks in cut if blocks or not turn.blocks]

    def tools(self, tools: Iterable[Tool]) -> list[Tool]:
        """The tools that fit."""
        cut = [Tool(tool.name, self.text(tool.description), self.text(tool.definition)) for tool in tools]
        return [tool for tool in cut if tool.description or tool.definition]


def shown_content(status: RequestStatus) -> dict[str, Any]:
    """What the page of a request shows of its content."""
    prompt, options, answer = Truncation(), Truncation(), Truncation()
    response = status.response or {}
    return {
        "turns": prompt.turns(turns_of(status.messages or [], status.parameters)),
        "prompt": prompt,
        "tools": options.tools(tools_of(status.parameters)),
        "other_parameters": options.text(other_parameters(status.parameters)),
        "options": options,
        "answer_text": answer.text(response.get("content") or ""),
        "answer_blocks": answer.blocks(answer_blocks(response)),
        "answer": answer,
    }
