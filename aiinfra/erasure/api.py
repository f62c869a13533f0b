"""`/api/ai/privacy`: order erasures, and read their receipts."""

from datetime import datetime
from typing import Annotated, Self
from uuid import UUID

from pydantic import Field, StringConstraints, model_validator

from aiinfra.api import ApiCall, ApiModel, Endpoint, Operation
from aiinfra.failures import ApiError, not_found
from aiinfra.keyset import row_page
from aiinfra.tenants.models import Organization
from aiinfra.tenants.privacy import erasures
from aiinfra.tenants.privacy.holds import HeldError, check_not_held
from aiinfra.tenants.privacy.models import Erasure

PAGE_SIZE = 50


class EraseIn(ApiModel):
    """Whose content: one user's, or everyone's, which the organization's slug confirms."""

    user: Annotated[str, StringConstraints(max_length=128), Field(description="as requests name them in userId")] = ""
    everything: bool = False
    confirmation: Annotated[str, Field(description="the organization's slug; required with everything")] = ""

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if bool(self.user) == self.everything:
            raise ValueError("Send either user or everything.")
        return self


class ReceiptQuery(ApiModel):
    """Which erasure."""

    erasure_id: UUID


class ErasuresQuery(ApiModel):
    """Where the page starts."""

    cursor: str = ""


class ReceiptOut(ApiModel):
    """An erasure. While it is `running` or `held`, `finishedAt` is null and the digest is empty."""

    id: UUID
    state: Annotated[str, Field(description="running, held by a legal hold, or finished")]
    subject: Annotated[str, Field(description="everything, or the pseudonym of the user")]
    requested_by: str
    requested_at: datetime
    finished_at: datetime | None
    counts: Annotated[dict[str, int], Field(description="rows or entries by store")]
    digest: Annotated[str, Field(description="SHA-256 of the receipt; it is in the security log, too")]


class ErasurePage(ApiModel):
    """Some erasures, newest first; `nextCursor` is null at the end."""

    erasures: list[ReceiptOut]
    next_cursor: str | None


def erase(call: ApiCall, payload: EraseIn) -> ReceiptOut:
    """Order an erasure, which the scheduler carries out within seconds."""
    organization = Organization.objects.get(pk=call.principal.organization_id)
    if payload.everything and payload.confirmation != organization.slug:
        raise ApiError(400, "invalid_request", "Send the organization's slug.", param="confirmation")
    try:
        ordered = erasures.order(
            organization=organization,
            user_ref=payload.user,
            everything=payload.everything,
            actor=call.principal.actor,
        )
    except HeldError as error:
        raise ApiError(409, "legal_hold", str(error)) from None
    except ValueError:  # no visible character
        raise ApiError(400, "invalid_request", "Name a user.", param="user") from None
    return _receipt(ordered)


def get_receipt(_call: ApiCall, payload: ReceiptQuery) -> ReceiptOut:
    """One erasure."""
    found = Erasure.objects.filter(pk=payload.erasure_id).first()
    if found is None:
        raise not_found()
    return _receipt(found)


def list_erasures(_call: ApiCall, payload: ErasuresQuery) -> ErasurePage:
    """A page of erasures."""
    try:
        page = row_page(Erasure.objects.all(), "requested_at", "id", cursor=payload.cursor, size=PAGE_SIZE)
    except ValueError:
        raise ApiError(400, "invalid_request", "This cursor is invalid.", param="cursor") from None
    return ErasurePage(erasures=[_receipt(each) for each in page.rows], next_cursor=page.next_cursor or None)


def _receipt(erasure: Erasure) -> ReceiptOut:
    return ReceiptOut(
        id=erasure.pk,
        state=_state(erasure),
        subject="everything" if erasure.everything else erasure.pseudonym,
        requested_by=erasure.requested_by,
        requested_at=erasure.requested_at,
        finished_at=erasure.finished_at,
        counts=erasure.counts,
        digest=erasure.digest,
    )


def _state(erasure: Erasure) -> str:
    if erasure.finished_at:
        return "finished"
    try:
        check_not_held(erasure.organization_id, erasure.user_ref)
    except HeldError:
        return "held"
    return "running"


privacy_endpoint = Endpoint(
    {
        ("POST", "erase"): Operation(
            erase, "privacy:erase", EraseIn, ReceiptOut, "Erase the content of a user or of everyone", status=202
        ),
        ("GET", "receipt"): Operation(get_receipt, "privacy:erase", ReceiptQuery, ReceiptOut, "Get an erasure"),
        ("GET", "erasures"): Operation(
            list_erasures, "privacy:erase", ErasuresQuery, ErasurePage, "List erasures, newest first"
        ),
    }
)
