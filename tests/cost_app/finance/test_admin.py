from collections.abc import Callable

import pytest
from django.test import Client
from django.urls import reverse

from aiinfra.tenants.models import Organization, User
from aiinfra.tenants.scope import organization_scope
from cost_app.models import InvoiceImport, InvoiceLine, MonthClose
from tests.cost_app.finance.conftest import at

PAGES = ["invoiceimport", "invoiceline", "monthclose"]


@pytest.mark.parametrize("page", PAGES)
def test_staff_can_read_but_not_change_finance_records(
    page: str, owner: User, other_organization: Organization, client_of: Callable[[User], Client]
) -> None:
    owner.is_staff = owner.is_superuser = True
    owner.save()
    day = at(10, 1).date()
    with organization_scope(other_organization.pk):
        invoice = InvoiceImport.objects.create(
            organization=other_organization, provider="openai", file_name="theirs.csv", first_day=day, last_day=day
        )
        line = InvoiceLine.objects.create(
            organization=other_organization, invoice=invoice, day=day, model="theirs", token_class="input"
        )
        close = MonthClose.objects.create(
            organization=other_organization, first_day=day, last_day=day, snapshot={}, closed_by="theirs"
        )
    row = {"invoiceimport": invoice, "invoiceline": line, "monthclose": close}[page]
    client = client_of(owner)
    assert "theirs" in client.get(reverse(f"admin:cost_app_{page}_changelist")).text
    assert client.get(reverse(f"admin:cost_app_{page}_change", args=[row.pk])).status_code == 200
    assert client.post(reverse(f"admin:cost_app_{page}_delete", args=[row.pk])).status_code == 403
    assert client.get(reverse(f"admin:cost_app_{page}_add")).status_code == 403
