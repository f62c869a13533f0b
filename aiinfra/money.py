"""Money on the wire: a decimal string in US dollars. Internally, an integer number of nano-dollars."""

from decimal import Decimal
from typing import Annotated

from pydantic import StringConstraints

NANO = 1_000_000_000
"""Nano-dollars per US dollar."""

Dollars = Annotated[str, StringConstraints(pattern=r"^-?\d+\.\d{2,9}$")]


def dollars(nano: int) -> str:
    """Nano-dollars as an exact decimal string with at least two decimals."""
    text = f"{Decimal(nano).scaleb(-9):.9f}".rstrip("0")
    whole, _, fraction = text.partition(".")
    return f"{whole}.{fraction.ljust(2, '0')}"
