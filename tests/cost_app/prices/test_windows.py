"""Weekly price windows: validation and description."""

import pytest

from cost_app.prices.shipped import PEAK
from cost_app.prices.windows import WindowError, described, parse_window


def hours(*weekdays: int, begin: str = "01:00", end: str = "04:00") -> dict[str, object]:
    return {"weekdays": list(weekdays), "from": begin, "to": end}


@pytest.mark.parametrize(
    ("window", "words"),
    [
        ([], ""),
        (PEAK, "Mon to Fri 01:00-04:00 and 06:00-10:00 UTC"),
        ([hours(0, 1, 2, 3, 4, 5, 6, begin="16:30", end="24:00")], "every day 16:30-24:00 UTC"),
        ([hours(0, 4)], "Mon, Fri 01:00-04:00 UTC"),
        ([hours(6)], "Sun 01:00-04:00 UTC"),
        ([hours(5, 6), hours(0, begin="00:00", end="02:00")], "Sat to Sun 01:00-04:00, Mon 00:00-02:00 UTC"),
    ],
)  # fmt: skip
def test_window_is_described_in_words(window: list[dict[str, object]], words: str) -> None:
    parse_window(window)
    assert described(window) == words


@pytest.mark.parametrize(
    "window",
    [
        {},
        "peak",
        [1],
        [{}],
        [{**hours(0), "zone": "UTC"}],
        [hours()],
        [hours(7)],
        [{**hours(0), "weekdays": [True]}],
        [{**hours(0), "weekdays": 0}],
        [hours(0, begin="22:00", end="02:00")],
        [hours(0, begin="01:00", end="01:00")],
        [hours(0, begin="1:00")],
        [hours(0, end="24:01")],
        [{**hours(0), "to": 4}],
    ],
)
def test_invalid_window_is_rejected(window: object) -> None:
    with pytest.raises(WindowError):
        parse_window(window)
