"""The monthly statement: what was spent, by key, user, tag and model. Read from the days' sums alone."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from django.db.models import QuerySet, Sum
from django.http import StreamingHttpResponse

from aiinfra.money import dollars
from aiinfra.tenants.models import ApiKey, Organization
from cost_app.finance.csv_stream import csv_response
from cost_app.finance.months import Month
from cost_app.models import Dimension, UsageDay

LINES_SHOWN = 50
TAGS_NOTE = "A call with several tags counts under each of them."
CUT_TAGS_NOTE = f"{TAGS_NOTE} The dearest {LINES_SHOWN} are shown; the CSV file lists all."
SUMS = (
    "nano",
    "saved_nano",
    "calls",
    "errors",
    "cache_hits",
    "input_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "output_tokens",
)
SECTIONS = {
    Dimension.MODEL: "By model",
    Dimension.API_KEY: "By API key",
    Dimension.USER: "By user",
    Dimension.TAG: "By tag",
}
NOBODY = {
    Dimension.API_KEY: "without a key",
    Dimension.USER: "without a user",
    Dimension.TAG: "without a tag",
}
STATEMENT_COLUMNS = [
    "section",
    "name",
    "id",
    "cost",
    "saved",
    "currency",
    "calls",
    "errors",
    "cache_hits",
    "input_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "output_tokens",
]


@dataclass(frozen=True)
class Line:
    """One line of a statement; `value` is the dimension's own, `name` what people call it. Amounts in nano-dollars."""

    name: str
    value: str
    nano: int = 0
    saved_nano: int = 0
    calls: int = 0
    errors: int = 0
    cache_hits: int = 0
    input_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    output_tokens: int = 0

    @property
    def prompt_tokens(self) -> int:
        """The whole prompt, its cached parts included."""
        return self.input_tokens + self.cache_read_tokens + self.cache_write_tokens


@dataclass(frozen=True)
class Section:
    """The dearest lines of one dimension. `rest_nano` is the cost of those not shown, None where all are."""

    title: str
    lines: list[Line]
    rest_nano: int | None = None
    note: str = ""


@dataclass(frozen=True)
class Statement:
    """One month."""

    month: Month
    total: Line
    sections: list[Section]


def statement_of(organization_id: int, month: Month) -> Statement:
    """The statement with at most 50 lines a section; six queries, whatever the size of the ledger."""
    days = _days(organization_id, month)
    total = _total(days)
    return Statement(month, total, [_section(dimension, days, total) for dimension in SECTIONS])


def _days(organization_id: int, month: Month) -> QuerySet[UsageDay]:
    return UsageDay.objects.filter(organization_id=organization_id, day__gte=month.first_day, day__lte=month.last_day)


def _total(days: QuerySet[UsageDay]) -> Line:
    sums = {f"sum_{name}": Sum(name, default=0) for name in SUMS}
    found = days.filter(dimension=Dimension.TOTAL).aggregate(**sums)
    return Line("Total", "", **{name: found[f"sum_{name}"] for name in SUMS})


def _section(dimension: Dimension, days: QuerySet[UsageDay], total: Line) -> Section:
    rows = list(_grouped(dimension, days)[: LINES_SHOWN + 1])
    lines = _named(dimension, rows[:LINES_SHOWN])
    is_cut = len(rows) > LINES_SHOWN
    if dimension is Dimension.TAG:
        return Section(SECTIONS[dimension], lines, note=CUT_TAGS_NOTE if is_cut else TAGS_NOTE)
    rest = total.nano - sum(line.nano for line in lines)
    return Section(SECTIONS[dimension], lines, rest if is_cut else None)


def _grouped(dimension: Dimension, days: QuerySet[UsageDay]) -> Any:
    """Dicts of `value` and the sums, the dearest first."""
    sums = {f"sum_{name}": Sum(name) for name in SUMS}
    grouped: Any = days.filter(dimension=dimension).order_by().values("value").annotate(**sums)
    return grouped.order_by("-sum_nano", "value")


def _named(dimension: Dimension, rows: Iterable[dict[str, Any]]) -> list[Line]:
    rows = list(rows)
    names = _key_names([row["value"] for row in rows]) if dimension is Dimension.API_KEY else {}
    return [_line(dimension, row, names) for row in rows]


def _line(dimension: Dimension, row: dict[str, Any], key_names: dict[str, str]) -> Line:
    value = row["value"]
    name = key_names.get(value, value) or NOBODY.get(dimension, "")
    return Line(name, value, **{name: row[f"sum_{name}"] for name in SUMS})


def _key_names(values: Iterable[str]) -> dict[str, str]:
    ids = [int(value) for value in values if value.isdecimal()]
    return {str(key.pk): f"{key.name} ({key.key_id})" for key in ApiKey.objects.filter(pk__in=ids)}


def statement_csv(organization: Organization, month: Month) -> StreamingHttpResponse:
    """All lines of the statement as a file."""
    return csv_response(
        organization.pk,
        f"statement_{organization.slug}_{month.slug}.csv",
        STATEMENT_COLUMNS,
        lambda: statement_rows(organization, month),
    )


def statement_rows(organization: Organization, month: Month) -> Iterator[list[object]]:
    """The total first, then every line of every section; needs the organization's scope."""
    days = _days(organization.pk, month)
    yield _cells("total", _total(days), organization.currency)
    key_names = {str(key.pk): f"{key.name} ({key.key_id})" for key in ApiKey.objects.filter(organization=organization)}
    for dimension in SECTIONS:
        for row in _grouped(dimension, days).iterator():
            yield _cells(dimension.value, _line(dimension, row, key_names), organization.currency)


def _cells(section: str, line: Line, currency: str) -> list[object]:
    return [
        section,
        line.name,
        line.value,
        dollars(line.nano),
        dollars(line.saved_nano),
        currency,
        line.calls,
        line.errors,
        line.cache_hits,
        line.input_tokens,
        line.cache_read_tokens,
        line.cache_write_tokens,
        line.output_tokens,
    ]
