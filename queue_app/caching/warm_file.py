"""Warm-up files: JSON lines, each with a question and optionally its answer."""

import json
from collections.abc import Iterable, Iterator
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from pydantic.alias_generators import to_camel

from aiinfra.json_body import first_error
from aiinfra.names import Tags
from aiinfra.python_api import InvalidValueError
from cache_app import create_semantic_cache
from queue_app.caching.cache_answer import WARMS
from queue_app.caching.warming import WarmQuestion
from queue_app.models import Priority
from queue_app.submission.intake import call_terms, question_of
from queue_app.submission.submission import Submission

cache = create_semantic_cache()

Text = Annotated[str, StringConstraints(min_length=1, max_length=200_000, pattern=r"\S")]
Name = Annotated[str, StringConstraints(min_length=1, max_length=128)]


class WarmLine(BaseModel):
    """One line. Fields that it omits must be omitted by the clients too: only exact matches find its answer."""

    model_config = ConfigDict(alias_generator=to_camel, extra="forbid")

    question: Text
    answer: Text | None = None
    system: str = ""
    provider: Name
    model: Name
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    max_tokens: Annotated[int, Field(ge=1, le=131_072)] | None = None
    context_key: Annotated[str, StringConstraints(max_length=128)] = ""
    tags: Tags = []


def parsed(lines: Iterable[str], *, provider: str, model: str) -> list[WarmLine]:
    """All non-empty lines. `provider` and `model` are the defaults for lines that name none.

    Raises ValueError with the number of the line that cannot be read.
    """
    read = []
    for number, line in enumerate(lines, start=1):
        if line.strip():
            try:
                read.append(WarmLine.model_validate(_fields(line, provider, model)))
            except ValueError as error:
                raise ValueError(f"line {number}: {error}") from error
    return read


def _fields(line: str, provider: str, model: str) -> Any:
    fields = json.loads(line)
    if not isinstance(fields, dict):
        raise ValueError("not an object")
    if flaw := first_error(fields):
        raise InvalidValueError(*flaw)
    return {"provider": provider, "model": model, **fields}


def warm_questions(organization_id: int, lines: Iterable[WarmLine]) -> Iterator[WarmQuestion]:
    """The questions that the lines ask for, in the organization's scope."""
    for line in lines:
        submission = _submission(organization_id, line)
        cache_key = cache.prepare(question_of(submission, call_terms(submission))).storage_key
        if cache_key:
            yield WarmQuestion(submission, cache_key, line.answer or "")


def _submission(organization_id: int, line: WarmLine) -> Submission:
    system = [{"role": "system", "content": line.system}] if line.system else []
    return Submission(
        organization_id=organization_id,
        provider=line.provider,
        model=line.model,
        messages=[*system, {"role": "user", "content": line.question}],
        priority=Priority.LOW,
        temperature=line.temperature,
        max_tokens=line.max_tokens,
        tags=line.tags,
        metadata=WARMS,
        cache_mode="refresh",
        context_key=line.context_key,
    )
