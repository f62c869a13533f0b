"""Sets the clock of a Python process forward or back by `WRONG_BY_S` seconds; Python imports this when it starts."""

import os
import time
from datetime import datetime, timedelta

from django.utils import timezone

WRONG_BY_S = float(os.environ["WRONG_BY_S"])

_time, _now = time.time, timezone.now


def _wrong_time() -> float:
    return _time() + WRONG_BY_S


def _wrong_now() -> datetime:
    return _now() + timedelta(seconds=WRONG_BY_S)


time.time, timezone.now = _wrong_time, _wrong_now
