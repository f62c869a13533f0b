"""Files that clients upload, and batches."""

from aiinfra.configuration import kinds
from aiinfra.configuration.setting import Setting

FILE_MIB_MAX = Setting(
    "FILE_MIB_MAX",
    kinds.Whole(1, 48),
    20,
    "Largest file of a batch in MiB. The bodies that a web process reads at a time share 64 MiB.",
)
FILES_PER_ORGANIZATION = Setting(
    "FILES_PER_ORGANIZATION", kinds.Whole(1, 100_000), 1_000, "Maximum uploaded files of one organization."
)
FILES_MIB_PER_ORGANIZATION = Setting(
    "FILES_MIB_PER_ORGANIZATION",
    kinds.Whole(1, 1_000_000),
    1_024,
    "MiB of files, including results, above which an organization can't upload more.",
)
BATCHES_PER_ORGANIZATION = Setting(
    "BATCHES_PER_ORGANIZATION", kinds.Whole(1, 10_000), 100, "Maximum unfinished batches of one organization."
)
BATCH_LINES_MAX = Setting("BATCH_LINES_MAX", kinds.Whole(1, 50_000), 10_000, "Maximum requests in one batch.")
