import gzip
import json
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from aiinfra.tenants.models import AuditEvent, Organization
from aiinfra.tenants.privacy import holds
from aiinfra.tenants.scope import organization_scope
from cost_app import create_cost_optimizer
from cost_app.finance.exports import ledger_rows
from cost_app.finance.focus import focus_rows
from cost_app.finance.month_close import close_states
from cost_app.finance.months import find_month
from cost_app.ledger.rollups import fold
from cost_app.models import Attempt, LedgerEntry, MonthClose
from queue_app.archive import files, moving
from queue_app.archive.files import ArchiveError
from queue_app.models import AIRequest, ArchivedMonth, RequestContent, Status
from tests.queue_app.archive.conftest import JANUARY, OCTOBER, SENT, Ask, Clock, archive

pytestmark = pytest.mark.usefixtures("scoped")


def directory(root: Path) -> Path:
    return root / "north" / OCTOBER


def lines(root: Path) -> list[dict[str, Any]]:
    text = gzip.decompress((directory(root) / files.REQUESTS).read_bytes()).decode()
    return [json.loads(line) for line in text.splitlines()]


def reports(organization: Organization) -> list[object]:
    """What finance reports for October."""
    month = find_month(organization.pk, OCTOBER)
    assert month
    [state] = close_states(organization.pk).values()
    return [
        list(ledger_rows(organization, month.starts_at, month.ends_at)),
        list(focus_rows(organization, date(2026, 10, 1), date(2026, 10, 31))),
        (state.word, state.corrections_nano),
        list(create_cost_optimizer().disagreements()),
    ]


def test_closed_month_is_archived_and_its_costs_stay(
    organization: Organization, october: list[AIRequest], tmp_path: Path
) -> None:
    before = reports(organization)
    assert len(before[0]) == 6, "nothing to archive"  # type: ignore[arg-type]
    cost_nano = sum(LedgerEntry.objects.values_list("nano", flat=True))
    [moved] = archive(organization, tmp_path)
    assert cost_nano > 0
    assert not AIRequest.objects.exists()
    assert reports(organization) == before
    assert before[-1] == []
    assert (moved.month.name, moved.month.requests, moved.month.nano, moved.kept) == ("October 2026", 7, cost_nano, 0)
    assert [line["id"] for line in lines(tmp_path)] == [str(each.id) for each in october]
    assert sum(len(line["attempts"]) for line in lines(tmp_path)) == 7
    assert Attempt.objects.count() == 6, "the unsent attempt should be only in the file"
    assert AuditEvent.objects.get(verb="month.archived").target == "October 2026"


def test_archiving_twice_changes_nothing(organization: Organization, october: list[AIRequest], tmp_path: Path) -> None:
    archive(organization, tmp_path)
    assert archive(organization, tmp_path) == []
    assert ArchivedMonth.objects.count() == 1


def test_archived_lines_contain_no_erasable_text(
    organization: Organization, ask: Ask, close: Callable[[Organization], None], tmp_path: Path
) -> None:
    request = ask(outcome="failed", metadata={"note": "secret words"}, conversation_id="secret words")
    AIRequest.objects.filter(id=request.id).update(error_message="secret words")
    Attempt.objects.update(error_message="secret words")
    close(organization)
    archive(organization, tmp_path)
    [line] = lines(tmp_path)
    assert "secret words" not in json.dumps(line)
    assert line["user_ref"] == request.user_ref
    assert line["attempts"][0]["error_code"] == "RATE_LIMITED"


def live() -> None:
    AIRequest.objects.filter(created_at=SENT).update(status=Status.PENDING, completed_at=None)


def uncounted() -> None:
    AIRequest.objects.filter(created_at=SENT).update(counted=False)


def with_prompt() -> None:
    request = AIRequest.objects.get(created_at=SENT)
    RequestContent.objects.create(organization_id=request.organization_id, request=request, call=b"call")


def held() -> None:
    request = AIRequest.objects.get(created_at=SENT)
    holds.place(organization_id=request.organization_id, reason="a lawsuit", actor="user:x")


OBSTACLES = {
    "1 requests have not ended": [live, uncounted],
    "1 prompts are still kept, and the archive takes none": [with_prompt],
    "a legal hold covers some of its requests": [held],
}


@pytest.mark.parametrize(("why", "arrange"), [(why, each) for why, cases in OBSTACLES.items() for each in cases])
def test_month_with_an_obstacle_is_not_archived(
    organization: Organization, october: list[AIRequest], why: str, arrange: Callable[[], None]
) -> None:
    arrange()
    [(month, obstacle)] = moving.movable(organization.pk, moving.USAGE_COMES_UNTIL)
    assert (str(month), obstacle) == ("October 2026", why)


def test_open_month_is_not_archived(organization: Organization, ask: Ask, clock: Clock) -> None:
    ask()
    fold()
    clock(JANUARY)
    assert [why for _, why in moving.movable(organization.pk, timedelta())] == ["it is not closed"]


def test_month_whose_close_was_changed_is_not_archived(
    organization: Organization, october: list[AIRequest], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert MonthClose.objects.exists()
    monkeypatch.setattr("cost_app.finance.month_close.verify", lambda _close: False)
    [(_, obstacle)] = moving.movable(organization.pk, moving.USAGE_COMES_UNTIL)
    assert obstacle == "its close was changed: the signature does not match"


def test_month_that_can_still_get_usage_is_not_archived(
    organization: Organization, october: list[AIRequest], clock: Clock
) -> None:
    [state] = close_states(organization.pk).values()
    clock(state.month.ends_at + moving.USAGE_COMES_UNTIL - timedelta(seconds=1))
    assert not list(moving.movable(organization.pk, moving.USAGE_COMES_UNTIL))
    assert [why for _, why in moving.movable(organization.pk, timedelta())] == [
        "usage can be reported until 2026-12-02"
    ]


def test_open_attempt_stops_the_archive(organization: Organization, october: list[AIRequest], tmp_path: Path) -> None:
    Attempt.objects.filter(request_id=october[0].id).update(state="dispatched")
    with pytest.raises(ArchiveError, match="is not settled"):
        archive(organization, tmp_path)
    assert AIRequest.objects.count() == 7
    assert not directory(tmp_path).exists()


def test_other_organizations_and_months_are_not_archived(
    organization: Organization,
    other_organization: Organization,
    ask: Ask,
    october: list[AIRequest],
    clock: Clock,
    tmp_path: Path,
) -> None:
    foreign = ask(organization_id=other_organization.pk)
    later = ask(SENT + timedelta(days=60))
    clock(JANUARY)
    archive(organization, tmp_path)
    assert [each.id for each in AIRequest.objects.all()] == [later.id]
    with organization_scope(other_organization.pk):
        assert AIRequest.objects.filter(id=foreign.id).exists()


def test_requests_changed_after_the_file_was_written_are_kept(
    organization: Organization, october: list[AIRequest], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(moving, "_delete", lambda _lines: 0)
        archive(organization, tmp_path)
    changed, repriced, with_content, *_ = october
    AIRequest.objects.filter(id=changed.id).update(user_ref="pseudonym")
    Attempt.objects.filter(request_id=repriced.id).update(cost_nano=7)
    RequestContent.objects.create(organization=organization, request=with_content, call=b"call")
    [moved] = archive(organization, tmp_path)
    assert moved.kept == 3
    assert set(AIRequest.objects.values_list("id", flat=True)) == {changed.id, repriced.id, with_content.id}


def test_archiving_a_restored_database_reuses_existing_files(
    organization: Organization, october: list[AIRequest], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(moving, "_delete", lambda _lines: 0)
        archive(organization, tmp_path)
    ArchivedMonth.objects.all().delete()
    written = (directory(tmp_path) / files.REQUESTS).stat().st_mtime_ns
    archive(organization, tmp_path)
    assert not AIRequest.objects.exists()
    assert (directory(tmp_path) / files.REQUESTS).stat().st_mtime_ns == written
