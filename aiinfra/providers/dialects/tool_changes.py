"""Tools that Anthropic's clients defer, add, and withdraw in the middle of a conversation, such as Claude Code's.

A tool with `defer_loading` is not offered until a message refers to it: the result of a tool search has a
`tool_reference`, and a `tool_addition` can also define the tool. A `tool_removal` withdraws one.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from aiinfra.providers.dialects.rejections import ADDITION, REFERENCE, TOOL_CHANGES, Path, all_parts

Tool = Mapping[str, Any]


def offered(messages: Sequence[Mapping[str, Any]], tools: Sequence[Tool]) -> list[tuple[Path, Tool]]:
    """The tools that the model can call after the last message, each with its path."""
    declared: dict[Any, tuple[Path, Tool]] = {
        tool.get("name"): (("parameters", "tools", index), tool) for index, tool in enumerate(tools)
    }
    active = {name: not tool.get("defer_loading") for name, (_, tool) in declared.items()}
    for path, block in all_parts(messages):
        if change := _change_of(block):
            name, is_active, tool = change
            active[name] = is_active
            if tool is not None:
                declared[name] = ((*path, "tool", "definition"), tool)
    return [found for name, found in declared.items() if active.get(name)]


def references(value: object) -> Iterator[str]:
    """The names of the tools that the blocks of a message refer to. Each one puts a definition into the prompt."""
    if isinstance(value, Mapping):
        if value.get("type") == REFERENCE:
            yield _name_of(value)
        value = list(value.values())
    if isinstance(value, list | tuple):
        for child in value:
            yield from references(child)


def _change_of(block: Mapping[str, Any]) -> tuple[str, bool, Tool | None] | None:
    """The tool that a block changes, whether it can be called now, and its definition if the block has it."""
    if block.get("type") == REFERENCE:
        return _name_of(block), True, None
    if block.get("type") not in TOOL_CHANGES:
        return None
    change = block["tool"]
    definition = change.get("definition")
    return _name_of(definition or change), block["type"] == ADDITION, definition


def _name_of(reference: Mapping[str, Any]) -> str:
    """Results of tool searches call it `tool_name`, additions and removals `name`."""
    return str(reference.get("tool_name") or reference.get("name"))
