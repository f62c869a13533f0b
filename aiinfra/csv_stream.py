"""Streams a CSV file while it is generated, with one batch of rows in memory."""

import csv
from collections.abc import Callable, Iterable, Iterator

from django.http import StreamingHttpResponse

from aiinfra.csv_safe import safe_row
from aiinfra.tenants.scope import organization_scope

LINES_AT_ONCE = 500

Rows = Callable[[], Iterator[Iterable[object]]]


class _Echo:
    """A file whose `write` returns the text."""

    def write(self, text: str) -> str:
        return text


def csv_response(organization_id: int, file_name: str, header: Iterable[str], rows: Rows) -> StreamingHttpResponse:
    """A CSV download. `rows` and its queries run in the organization's scope while the body is sent."""
    body = _chunks(organization_id, header, rows)
    response = StreamingHttpResponse(body, content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="{file_name}"'
    response["Cache-Control"] = "private, no-store"
    response["X-Content-Type-Options"] = "nosniff"
    return response


def _chunks(organization_id: int, header: Iterable[str], rows: Rows) -> Iterator[bytes]:
    writer = csv.writer(_Echo())
    lines: list[str] = [writer.writerow(safe_row(header))]
    made = _in_scope(organization_id, rows)
    for row in made:
        lines.append(writer.writerow(safe_row(row)))
        if len(lines) >= LINES_AT_ONCE:
            yield "".join(lines).encode()
            lines = []
    yield "".join(lines).encode()


def _in_scope(organization_id: int, rows: Rows) -> Iterator[Iterable[object]]:
    """Enter the scope for each step only: between steps, the thread may serve other requests."""
    with organization_scope(organization_id):
        iterator = iter(rows())
    while True:
        with organization_scope(organization_id):
            row = next(iterator, None)
        if row is None:
            return
        yield row
