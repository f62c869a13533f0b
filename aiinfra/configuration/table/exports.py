"""Files of finance that are written on a schedule."""

from pathlib import Path

from aiinfra.configuration import kinds
from aiinfra.configuration.setting import Setting

EXPORT_DIRECTORY: Setting[Path | str] = Setting(
    "EXPORT_DIRECTORY",
    kinds.Directory(),
    "",
    "Folder that the ledger, FOCUS and statement files of every organization are written to, each in a folder of its "
    "own. Without one nothing is written.",
    "none",
)
EXPORT_EVERY_HOURS = Setting(
    "EXPORT_EVERY_HOURS", kinds.Whole(1, 168), 24, "Hours after which a scheduled file is written again."
)
