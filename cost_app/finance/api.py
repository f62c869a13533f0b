"""Finance files over the API, with the pages' code and permissions."""

from collections.abc import Callable
from datetime import date

from django.http import HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase

from aiinfra.api import ApiCall, Endpoint, Operation
from aiinfra.failures import ApiError, not_found
from aiinfra.money import dollars
from aiinfra.tenants.models import Organization
from cost_app.finance.exports import ledger_csv
from cost_app.finance.focus import focus_csv
from cost_app.finance.months import find_month
from cost_app.finance.payloads import CsvFile, ExportQuery, MonthOut, MonthsOut, MonthsQuery, StatementQuery
from cost_app.finance.ranges import range_error
from cost_app.finance.screens import MonthRow, month_rows
from cost_app.finance.statement import statement_csv


def get_months(call: ApiCall, _payload: MonthsQuery) -> MonthsOut:
    """The months that have statements."""
    return MonthsOut(months=[_month(row) for row in month_rows(call.principal.organization_id)])


def get_ledger(call: ApiCall, payload: ExportQuery) -> HttpResponseBase:
    """Stream every ledger entry of a range of days."""
    return _export(call, payload, ledger_csv)


def get_focus(call: ApiCall, payload: ExportQuery) -> HttpResponseBase:
    """Stream the charges of a range of days."""
    return _export(call, payload, focus_csv)


def get_statement(call: ApiCall, payload: StatementQuery) -> HttpResponseBase:
    """Stream every line of a month's statement."""
    month = find_month(call.principal.organization_id, payload.month.isoformat())
    if month is None:
        raise not_found()
    return _answer(call, statement_csv(_organization(call), month))


def _export(
    call: ApiCall, days: ExportQuery, make: Callable[[Organization, date, date], StreamingHttpResponse]
) -> HttpResponseBase:
    if found := range_error(days.first, days.last):
        raise ApiError(400, "invalid_request", found[1], param=found[0])
    return _answer(call, make(_organization(call), days.first, days.last))


def _answer(call: ApiCall, file: StreamingHttpResponse) -> HttpResponseBase:
    """HEAD must not generate the file."""
    return HttpResponse(headers=dict(file.items())) if call.http.method == "HEAD" else file


def _organization(call: ApiCall) -> Organization:
    return Organization.objects.get(pk=call.principal.organization_id)


def _month(row: MonthRow) -> MonthOut:
    closed = row.closed
    return MonthOut(
        first_day=row.month.first_day,
        last_day=row.month.last_day,
        starts_at=row.month.starts_at,
        ends_at=row.month.ends_at,
        time_zone=row.month.time_zone,
        is_over=row.month.is_over,
        is_closed=closed is not None,
        is_verified=closed.is_verified if closed else None,
        cost=None if row.nano is None else dollars(row.nano),
        requests=row.calls,
        corrections=dollars(closed.corrections_nano) if closed else None,
    )


OPERATIONS: dict[tuple[str, str | None], Operation] = {
    ("GET", "months"): Operation(get_months, "finance:read", MonthsQuery, MonthsOut, "List months with their cost"),
}
exports = Endpoint(
    {
        ("GET", "ledger"): Operation(
            get_ledger,
            "finance:read",
            ExportQuery,
            CsvFile,
            "Export every ledger entry as CSV",
            content_type="text/csv",
        ),
        ("GET", "focus"): Operation(
            get_focus,
            "finance:read",
            ExportQuery,
            CsvFile,
            "Export charges in FOCUS 1.2 as CSV",
            content_type="text/csv",
        ),
        ("GET", "statement"): Operation(
            get_statement,
            "finance:read",
            StatementQuery,
            CsvFile,
            "Export a month's statement as CSV",
            content_type="text/csv",
        ),
    }
)
