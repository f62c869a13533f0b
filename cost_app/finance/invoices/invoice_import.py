"""Compares a provider's usage file with the ledger when it is uploaded, and stores the result."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from typing import Any
from uuid import UUID, uuid4

from django.db import IntegrityError, transaction
from django.db.models import Count, F, Q, QuerySet, Sum
from django.utils import timezone

from aiinfra.money import dollars
from aiinfra.tenants import audit
from cost_app.finance.allocation import TOKEN_CLASSES
from cost_app.finance.invoices.causes import explain
from cost_app.finance.invoices.files import Amounts, ProviderFile, read_file
from cost_app.finance.invoices.layouts import TOTAL
from cost_app.finance.invoices.ledger import Book, ledger_of
from cost_app.finance.invoices.model_names import known_model
from cost_app.models import InvoiceImport, InvoiceLine, InvoiceUpload

LINES_AT_ONCE = 1_000
NAME_LENGTH = 200
VARIANCE_COLUMNS = [
    "day_utc",
    "model",
    "token_class",
    "file_tokens",
    "ledger_tokens",
    "file_cost",
    "ledger_cost",
    "likely_cause",
]

Lines = dict[tuple[date, str, str], Amounts]


@dataclass(frozen=True)
class Upload:
    """The result of an upload. `is_new` is False if the same file was uploaded before."""

    invoice: InvoiceImport
    is_new: bool


def import_file(
    *, organization_id: int, provider: str, name: str, content: bytes, actor: str, invoice_id: UUID | None = None
) -> Upload:
    """Read a file, compare it, and store both. If it raises FileError, nothing is stored.

    `invoice_id` is that of its InvoiceUpload, which ends in the same transaction.
    """
    digest = hashlib.sha256(content).hexdigest()
    earlier = earlier_import(digest)
    if earlier:
        return Upload(earlier, is_new=False)
    file = read_file(provider, content)
    first, last = file.days
    invoice = InvoiceImport(
        id=invoice_id or uuid4(),
        organization_id=organization_id,
        provider=provider,
        file_name=name[:NAME_LENGTH],
        sha256=digest,
        first_day=first,
        last_day=last,
        uploaded_by=actor,
        uploaded_at=timezone.now(),
    )
    try:
        _store(invoice, file)
    except IntegrityError:
        same = earlier_import(digest)
        if same is None:
            raise
        return Upload(same, is_new=False)
    return Upload(invoice, is_new=True)


def earlier_import(digest: str) -> InvoiceImport | None:
    """The import of the file with this SHA-256."""
    return InvoiceImport.objects.filter(sha256=digest).first()


def _store(invoice: InvoiceImport, file: ProviderFile) -> None:
    """Compare first: the transaction only inserts, so that other writers do not wait for it."""
    book = ledger_of(invoice.provider, invoice.first_day, invoice.last_day)
    lines = _compared(invoice, file, book)
    explain(lines, book, timezone.now().date())
    _insert(invoice, lines)


@transaction.atomic
def _insert(invoice: InvoiceImport, lines: list[InvoiceLine]) -> None:
    InvoiceUpload.objects.filter(pk=invoice.pk).delete()
    invoice.save(force_insert=True)
    InvoiceLine.objects.bulk_create(lines, batch_size=LINES_AT_ONCE)
    audit.record(
        organization_id=invoice.organization_id,
        actor=invoice.uploaded_by,
        verb="invoice.imported",
        target=f"{invoice.provider} {invoice.file_name}"[:NAME_LENGTH],
        changes={"days": [None, f"{invoice.first_day} to {invoice.last_day}"], "lines": [None, len(lines)]},
    )


def _compared(invoice: InvoiceImport, file: ProviderFile, book: Book) -> list[InvoiceLine]:
    """One line for everything that the file or the ledger has on the file's days."""
    theirs = _by_our_names(file, {model for _, model in book})
    keys = theirs.keys() | _in_ledger(file, book, invoice.first_day, invoice.last_day)
    nothing = Amounts(0 if file.layout.has_tokens else None, 0 if file.layout.has_amounts else None)
    return [_line(invoice, key, theirs.get(key, nothing), book) for key in sorted(keys)]


def _by_our_names(file: ProviderFile, known: Iterable[str]) -> Lines:
    """The file's lines by the ledger's model names. Snapshots of one model are merged."""
    models = sorted(set(known))
    names = {model: known_model(model, models) for model in {model for _, model, _ in file.lines}}
    merged: Lines = {}
    for (day, model, token_class), amounts in file.lines.items():
        sums = merged.setdefault((day, names[model], token_class), Amounts())
        sums.tokens = _plus(sums.tokens, amounts.tokens)
        sums.nano = _plus(sums.nano, amounts.nano)
    return merged


def _plus(one: int | None, other: int | None) -> int | None:
    return one if other is None else (one or 0) + other


def _in_ledger(file: ProviderFile, book: Book, first: date, last: date) -> set[tuple[date, str, str]]:
    """The ledger's usage on these days, by the file's token classes."""
    by_class = any(token_class != TOTAL for _, _, token_class in file.lines)
    return {
        (day, model, name)
        for (day, model), sums in book.items()
        for name in (TOKEN_CLASSES if by_class else (TOTAL,))
        if first <= day <= last and (sums.tokens[name] or sums.nano[name])
    }


def _line(invoice: InvoiceImport, key: tuple[date, str, str], theirs: Amounts, book: Book) -> InvoiceLine:
    day, model, token_class = key
    found = book.get((day, model))
    return InvoiceLine(
        organization_id=invoice.organization_id,
        invoice=invoice,
        day=day,
        model=model,
        token_class=token_class,
        invoice_tokens=theirs.tokens,
        invoice_nano=theirs.nano,
        ledger_tokens=found.tokens.get(token_class, 0) if found else 0,
        ledger_nano=found.nano.get(token_class, 0) if found else 0,
    )


def with_totals(invoices: QuerySet[InvoiceImport]) -> QuerySet[InvoiceImport]:
    """Annotate sums and the number of differing lines, for lists."""
    return invoices.annotate(
        invoice_nano=Sum("lines__invoice_nano"),
        ledger_nano=Sum("lines__ledger_nano"),
        invoice_tokens=Sum("lines__invoice_tokens"),
        ledger_tokens=Sum("lines__ledger_tokens"),
        line_count=Count("lines"),
        differing=Count("lines", filter=~Q(lines__likely_cause="")),
    )


def causes_of(invoice: InvoiceImport) -> list[dict[str, Any]]:
    """The likely causes of one import, by number of lines, and what the file has in excess."""
    differing = InvoiceLine.objects.filter(invoice=invoice).exclude(likely_cause="")
    grouped: QuerySet[Any, Any] = (
        differing.order_by()
        .values("likely_cause")
        .annotate(
            lines=Count("id"),
            nano=Sum(F("invoice_nano") - F("ledger_nano")),
            tokens=Sum(F("invoice_tokens") - F("ledger_tokens")),
        )
    )
    return list(grouped.order_by("-lines", "likely_cause"))


def variance_row(line: InvoiceLine) -> list[object]:
    """One line as cells of the CSV file."""
    return [
        line.day,
        line.model,
        line.token_class,
        line.invoice_tokens,
        line.ledger_tokens,
        None if line.invoice_nano is None else dollars(line.invoice_nano),
        dollars(line.ledger_nano),
        line.likely_cause,
    ]
