"""The body of `POST /v1/responses`."""

from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints

from aiinfra.api import WHOLE_FLOATS
from aiinfra.gateway.v1.vendor_endpoint import OpenBody, StreamOptions
from aiinfra.providers.dialects.rejections import Path
from aiinfra.providers.dialects.shapes import Object, Shape


class ItemPart(Shape):
    """A part of an item's content."""

    type: str | None = None
    text: str | None = None
    refusal: str | None = None
    image_url: str | None = None
    detail: str | None = None


class Tool(Shape):
    """A tool that the client runs, or a namespace of such tools."""

    type: str | None = None
    name: str | None = None
    description: str | None = None
    parameters: Object | None = None
    strict: bool | None = None
    format: Object | None = None
    execution: str | None = None
    tools: list["Tool"] | None = None


class Item(Shape):
    """A message, a call of a tool, its output, further tools, or reasoning."""

    type: str | None = None
    id: str | None = None
    role: Literal["system", "developer", "user", "assistant"] | None = None
    content: str | list[ItemPart] | None = None
    call_id: str | None = None
    name: str | None = None
    namespace: str | None = None
    arguments: str | Object | None = None
    input: str | None = None
    output: str | list[ItemPart] | None = None
    tools: list[Tool] | None = None


class ToolChoice(Shape):
    """The tool that must be called, or those that may be called."""

    type: str | None = None
    name: str | None = None
    namespace: str | None = None
    mode: str | None = None
    tools: list["ToolChoice"] | None = None


class Reasoning(Shape):
    """How much the model thinks."""

    effort: str | None = None


class Format(Shape):
    """The form of the answer."""

    type: str | None = None
    name: str | None = None
    schema_: Annotated[Object | None, Field(alias="schema")] = None


class Text(Shape):
    """The form and the length of the answer."""

    format: Format | None = None
    verbosity: str | None = None


class ResponsesRequest(OpenBody):
    """A call. Further parameters are translated."""

    model: Annotated[str, StringConstraints(min_length=1, max_length=161)]
    input: Annotated[str, StringConstraints(min_length=1)] | Annotated[list[Item], Field(min_length=1)]
    instructions: str | None = None
    previous_response_id: str | None = None
    store: bool | None = None
    max_output_tokens: Annotated[int, Field(ge=1, le=131_072), WHOLE_FLOATS] | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    service_tier: Literal["auto", "default", "flex", "priority"] | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    tools: list[Tool] | None = None
    tool_choice: str | ToolChoice | None = None
    reasoning: Reasoning | None = None
    text: Text | None = None

    @property
    def items(self) -> str | list[Object]:
        """The input as it was sent."""
        if isinstance(self.input, str):
            return self.input
        return [item.model_dump(exclude_unset=True) for item in self.input]

    @property
    def offered(self) -> Iterator[tuple[Path, Object]]:
        """Each tool with its path: those of the request, and those that input items have added."""
        yield from _listed(self.tools, ("parameters", "tools"))
        for index, item in enumerate(self.input if isinstance(self.input, list) else ()):
            if item.type in ADDING_TOOLS:
                yield from _listed(item.tools, ("input", index, "tools"))

    @property
    def parameters(self) -> Object:
        """Everything that is translated to parameters of chat completions."""
        return self.model_dump(by_alias=True, exclude_unset=True, exclude=set(NOT_PARAMETERS))

    @property
    def sent(self) -> dict[str, Any]:
        """The members that were sent."""
        return self.model_dump(by_alias=True, exclude_none=True, exclude={"input"})


def _listed(tools: list[Tool] | None, path: Path) -> Iterator[tuple[Path, Object]]:
    for index, tool in enumerate(tools or ()):
        yield (*path, index), tool.model_dump(exclude_unset=True)


ADDING_TOOLS = ("additional_tools", "tool_search_output")
"""Types of the items that add tools."""
NOT_PARAMETERS = frozenset(
    {
        "model",
        "input",
        "instructions",
        "previous_response_id",
        "store",
        "max_output_tokens",
        "temperature",
        "service_tier",
        "tools",
        "stream",
        "stream_options",
    }
)
