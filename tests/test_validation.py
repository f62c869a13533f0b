"""Messages for Pydantic's errors."""

from typing import Annotated, Any, Literal

import pytest
from annotated_types import Ge, Le, MaxLen, MinLen
from pydantic import BaseModel, TypeAdapter, ValidationError, field_validator
from pydantic_core._pydantic_core import list_all_errors

from aiinfra.validation import first_problem, words_of
from tests.test_wording import is_sentence


class Payload(BaseModel):
    number: int = 0
    text: str = ""

    @field_validator("text")
    @classmethod
    def _is_known(cls, value: str) -> str:
        if value == "wrong":
            raise ValueError("a text is right, or not given")
        return value


def test_a_validator_s_own_message_is_used() -> None:
    with pytest.raises(ValidationError) as refusal:
        Payload.model_validate({"text": "wrong"})
    assert words_of(dict(refusal.value.errors()[0])) == "A text is right, or not given."


@pytest.mark.parametrize("kind", list_all_errors(), ids=lambda kind: str(kind["type"]))
def test_every_pydantic_message_is_replaced_by_a_sentence(kind: dict[str, Any]) -> None:
    words = words_of({"type": kind["type"], "msg": kind["message_template_python"].replace("{field_type}", "List")})
    assert is_sentence(words)
    assert not words.startswith(("Input should", "String should", "Field required", "Extra inputs"))
    assert "should" not in words or kind["type"].startswith(("date", "set", "invalid", "json"))


Level = Literal["low", "normal", "high"]


@pytest.mark.parametrize(
    ("kind", "value", "words"),
    [
        (Level, "x", "This must be low, normal, or high."),
        (Literal["a", "b"], "x", "This must be a or b."),
        (Literal["a"], "x", "This must be a."),
        (Literal[1, 2], 3, "This must be 1 or 2."),
        (Annotated[int, Ge(1)], 0, "This must be at least 1."),
        (Annotated[float, Le(2)], 3.0, "This must be at most 2."),
        (int, "x", "This must be an integer."),
        (int, 1.5, "This must be an integer."),
        (float, "x", "This must be a number."),
        (bool, 1, "This must be true or false."),
        (str, 1, "This must be a string."),
        (Annotated[str, MinLen(1)], "", "This must have at least 1 character."),
        (Annotated[list[int], MaxLen(1)], [1, 2], "This must have at most 1 item."),
        (Literal["a"] | Payload, "x", "This must be a or an object."),
        (Annotated[list[str], MaxLen(1)] | list[list[int]], ["a", "b"], "This must have at most 1 item."),
        (dict[str, int], [], "This must be an object."),
        (str | list[str], 5, "This must be a string or an array."),
        (str | int | list[str], None, "This must be a string, an integer, or an array."),
        (str | list[str] | None, {}, "This must be a string or an array."),
        (Annotated[str, MinLen(1)] | list[str], "", "This must have at least 1 character."),
        (Annotated[list[str], MinLen(1)] | str, [], "This must have at least 1 item."),
        (Payload, 5, "This must be an object."),
    ],
)
def test_common_messages(kind: Any, value: object, words: str) -> None:
    with pytest.raises(ValidationError) as refusal:
        TypeAdapter(kind).validate_python(value, strict=True)
    assert first_problem(refusal.value, value) == ((), words)
