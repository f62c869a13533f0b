"""The monthly statement: spending by key, user, tag, and model. Read from daily rollups."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from django.http import StreamingHttpResponse

from aiinfra.csv_stream import csv_response
from aiinfra.money import dollars
from aiinfra.templatetags.formats import money_places
from aiinfra.tenants.models import ApiKey, Organization
from cost_app.finance.month_sums import MonthSums, Sums
from cost_app.finance.months import Month
from cost_app.models import Dimension
from cost_app.spend.series import Totals

LINES_SHOWN = 50
TAGS_NOTE = "A call with several tags counts under each of them."
CUT_TAGS_NOTE = f"{TAGS_NOTE} The {LINES_SHOWN} with the highest cost are shown; the CSV file lists all."
SECTIONS = {
    Dimension.MODEL: "By model",
    Dimension.API_KEY: "By API key",
    Dimension.USER: "By user",
    Dimension.TAG: "By tag",
}
UNATTRIBUTED = {
    Dimension.API_KEY: "without a key",
    Dimension.USER: "without a user",
    Dimension.TAG: "without a tag",
}
COUNTS = (
    "calls",
    "errors",
    "cache_hits",
    "input_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "cache_write_1h_tokens",
    "output_tokens",
)
STATEMENT_COLUMNS = ["section", "name", "id", "cost", "saved", "currency", *COUNTS]


@dataclass(kw_only=True)
class Line(Totals):
    """One line of a statement. `value` is the stored value, `name` the one shown to users."""

    name: str
    value: str


@dataclass(frozen=True)
class Section:
    """A dimension's lines with the highest cost. `rest_nano` is the cost of the rest, None if there is no rest.

    `total` is what the lines and the rest add up to, None if calls can be in several lines.
    """

    title: str
    lines: list[Line]
    total: Line | None
    rest_nano: int | None = None
    note: str = ""


@dataclass(frozen=True)
class Statement:
    """The statement of one month."""

    month: Month
    total: Line
    sections: list[Section]

    @property
    def places(self) -> int:
        """The decimals of every amount in its tables."""
        return money_places([self.total.nano, *(line.nano for section in self.sections for line in section.lines)])


def statement_of(organization_id: int, month: Month) -> Statement:
    """The statement with at most 50 lines per section. The number of queries is constant."""
    sums = MonthSums(organization_id, month)
    total = _total(sums)
    return Statement(month, total, [_section(dimension, sums, total) for dimension in SECTIONS])


def _total(sums: MonthSums) -> Line:
    return Line(name="Total", value="", **sums.total())


def _section(dimension: Dimension, sums: MonthSums, total: Line) -> Section:
    found = list(sums.by(dimension, LINES_SHOWN + 1))
    names = names_of(dimension, [value for value, _ in found])
    lines = [_line(dimension, value, each, names) for value, each in found[:LINES_SHOWN]]
    is_cut = len(found) > LINES_SHOWN
    if dimension is Dimension.TAG:
        return Section(SECTIONS[dimension], lines, None, note=CUT_TAGS_NOTE if is_cut else TAGS_NOTE)
    rest = total.nano - sum(line.nano for line in lines)
    return Section(SECTIONS[dimension], lines, total, rest if is_cut else None)


def _line(dimension: Dimension, value: str, sums: Sums, names: Mapping[str, str]) -> Line:
    return Line(name=names.get(value, value) or UNATTRIBUTED.get(dimension, ""), value=value, **sums)


def names_of(dimension: Dimension, values: Iterable[str]) -> dict[str, str]:
    """Display names of a dimension's values. Empty if the values are names themselves. One query for API keys."""
    return key_names(values) if dimension is Dimension.API_KEY else {}


def key_names(values: Iterable[str]) -> dict[str, str]:
    """The API keys of these row ids as "name (public id)"."""
    ids = [int(value) for value in values if value.isdecimal()]
    return {str(key.pk): f"{key.name} ({key.key_id})" for key in ApiKey.objects.filter(pk__in=ids)}


def statement_csv(organization: Organization, month: Month) -> StreamingHttpResponse:
    """All lines of the statement as CSV."""
    return csv_response(
        organization.pk,
        f"statement_{organization.slug}_{month.slug}.csv",
        STATEMENT_COLUMNS,
        lambda: statement_rows(organization, month),
    )


def statement_rows(organization: Organization, month: Month) -> Iterator[list[object]]:
    """The total, then every line of every section. Needs the organization's scope."""
    sums = MonthSums(organization.pk, month)
    yield _cells("total", _total(sums))
    names = {str(key.pk): f"{key.name} ({key.key_id})" for key in ApiKey.objects.filter(organization=organization)}
    for dimension in SECTIONS:
        of_values = names if dimension is Dimension.API_KEY else {}
        for value, each in sums.by(dimension):
            yield _cells(dimension.value, _line(dimension, value, each, of_values))


def _cells(section: str, line: Line) -> list[object]:
    return [
        section,
        line.name,
        line.value,
        dollars(line.nano),
        dollars(line.saved_nano),
        "USD",
        *(getattr(line, name) for name in COUNTS),
    ]
