"""Times in Django admin look as on the other pages, and name their zone because rows belong to any organization."""

DATE_FORMAT = "M j, Y"
TIME_FORMAT = "H:i T"
DATETIME_FORMAT = f"{DATE_FORMAT}, {TIME_FORMAT}"
