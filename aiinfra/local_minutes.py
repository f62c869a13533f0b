"""Local times to the minute in URLs and forms, correct across daylight saving time changes."""

from datetime import UTC, datetime, tzinfo

from django import forms
from django.core.exceptions import ValidationError
from django.utils import timezone
from django.utils.dateparse import parse_datetime

MINUTE = "%Y-%m-%dT%H:%M"


def minute_text(moment: datetime, zone: tzinfo) -> str:
    """`2026-11-27T09:43` in the time zone, with the offset if the minute is ambiguous."""
    local = moment.astimezone(zone)
    return local.strftime(MINUTE) + (local.isoformat()[-6:] if is_shown_twice(local) else "")


def is_shown_twice(local: datetime) -> bool:
    """Whether this time occurs twice because clocks go back. Only for times that exist."""
    return local.replace(fold=0).utcoffset() != local.replace(fold=1).utcoffset()


class MinuteField(forms.DateTimeField):
    """The start or end of a range, as `minute_text` writes it or a browser sends it.

    If the minute is ambiguous or skipped, a start is the earlier instant and an end the later one, so that the range
    covers everything.
    """

    widget = forms.DateTimeInput(attrs={"type": "datetime-local"}, format=MINUTE)

    def __init__(self, *, is_end: bool, **options: object) -> None:
        super().__init__(**options)  # type: ignore[arg-type]
        self._pick = max if is_end else min

    def to_python(self, value: object) -> datetime | None:
        """The instant, in UTC. Raises ValidationError."""
        if value in self.empty_values:
            return None
        try:
            moment = parse_datetime(str(value).strip())
        except ValueError:
            moment = None
        if moment is None:
            raise ValidationError(self.error_messages["invalid"], code="invalid")
        local = moment if moment.tzinfo else moment.replace(tzinfo=timezone.get_current_timezone())
        try:
            return self._pick(local.replace(fold=fold).astimezone(UTC) for fold in (0, 1))
        except OverflowError:
            raise ValidationError(self.error_messages["invalid"], code="invalid") from None

    def prepare_value(self, value: object) -> object:
        """Without the offset, which browsers don't show."""
        try:
            moment = self.to_python(value)
        except ValidationError:
            return value
        return moment and timezone.localtime(moment).strftime(MINUTE)
