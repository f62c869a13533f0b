"""Scheduled finance exports."""

from pathlib import Path

from aiinfra.configuration import kinds
from aiinfra.configuration.setting import Setting

EXPORT_DIRECTORY: Setting[Path | str] = Setting(
    "EXPORT_DIRECTORY",
    kinds.Directory(),
    "",
    "Folder for scheduled ledger, FOCUS, and statement files, with a subfolder per organization. If not set, no files "
    "are written.",
    "none",
)
EXPORT_EVERY_HOURS = Setting(
    "EXPORT_EVERY_HOURS", kinds.Whole(1, 168), 24, "Hours between two versions of a scheduled file."
)
