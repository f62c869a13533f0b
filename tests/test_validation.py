"""Pydantic's errors in words."""

import pytest
from pydantic import BaseModel, ValidationError, field_validator

from aiinfra.validation import words_of


class Payload(BaseModel):
    number: int = 0
    text: str = ""

    @field_validator("text")
    @classmethod
    def _is_known(cls, value: str) -> str:
        if value == "wrong":
            raise ValueError("a text is right, or not given")
        return value


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"text": "wrong"}, "A text is right, or not given"),
        ({"number": "x"}, "Input should be a valid integer, unable to parse string as an integer"),
    ],
)
def test_a_message_is_the_validator_s_own_text(fields: dict[str, str], words: str) -> None:
    with pytest.raises(ValidationError) as refusal:
        Payload.model_validate(fields)
    assert words_of(dict(refusal.value.errors()[0])) == words
