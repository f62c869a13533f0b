"""Parses how long a server asks its clients to wait."""

import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

_SECONDS = {"": 1.0, "ms": 0.001, "s": 1.0, "sec": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86_400.0}
_AMOUNT = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?)\s*([a-z]*)\s*", re.ASCII)
_PLURALS = re.compile(r"(?<=second)s|(?<=minute)s|(?<=hour)s|(?<=day)s|(?<=sec)s|(?<=min)s|(?<=hr)s")
_WORDS = {"second": "s", "minute": "min", "hour": "h", "hr": "h", "day": "d", "millisecond": "ms"}
HEADER_LENGTH_MAX = 100


def retry_after_s(headers: Mapping[str, str], most_s: float) -> float | None:
    """Seconds to wait from now, between 0 and `most_s`; None if the server does not say.

    `retry-after-ms` (OpenAI's) takes precedence over `Retry-After`. Besides seconds and HTTP dates, accepts numbers
    with a unit ("1500ms", "1m30s"), which some gateways send.
    """
    in_ms = _seconds(headers.get("retry-after-ms", ""), unit=0.001)
    wish = in_ms if in_ms is not None else _wish(headers.get("retry-after", ""))
    return None if wish is None else min(max(wish, 0.0), most_s)


def _wish(header: str) -> float | None:
    text = header.strip()
    if re.fullmatch(r"\+?\d+(\.\d*)?", text, re.ASCII):  # also a number of a thousand digits
        return float(text)
    if len(text) > HEADER_LENGTH_MAX:
        return None
    if text.lower().lstrip("+") in {"inf", "infinity"}:
        return math.inf
    in_seconds = _seconds(text)
    return in_seconds if in_seconds is not None else _until(text)


def _seconds(text: str, unit: float = 1.0) -> float | None:
    """The sum of amounts such as "1m30s"; a bare number is in `unit`."""
    text = _PLURALS.sub("", text.strip().lower())
    if not text or len(text) > HEADER_LENGTH_MAX:
        return None
    total, position = 0.0, 0
    while position < len(text):
        found = _AMOUNT.match(text, position)
        name = _WORDS.get(found[2], found[2]) if found else None
        is_last = found is not None and found.end() == len(text)
        if found is None or name not in _SECONDS or not (name or is_last):
            return None
        total += float(found[1]) * (_SECONDS[name] if name else unit)
        position = found.end()
    return None if math.isnan(total) else total  # infinity minus infinity


def _until(text: str) -> float | None:
    """Seconds until an HTTP date."""
    try:
        moment = parsedate_to_datetime(text)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        return (moment - datetime.now(UTC)).total_seconds()
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
