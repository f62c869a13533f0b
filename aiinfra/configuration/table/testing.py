"""Settings of the test suite."""

from aiinfra.configuration import kinds
from aiinfra.configuration.addresses import DatabaseUrl
from aiinfra.configuration.setting import Setting

TEST_DATABASE_URL = Setting(
    "TEST_DATABASE_URL",
    DatabaseUrl(),
    "postgres://postgres@127.0.0.1:5432/aiinfra",
    "PostgreSQL server that `make test` uses. It creates and drops databases named `test_...`.",
)
AIINFRA_CI = Setting("AIINFRA_CI", kinds.Text(), "", "If set, `make test` fails if it has to skip a test.")
TESTS_FULL = Setting(
    "TESTS_FULL", kinds.Text(), "", "If set, tests that generate their own examples try ten times as many."
)
FAULTS_FULL = Setting(
    "FAULTS_FULL", kinds.Text(), "", "If set, the fault tests run with thousands of requests instead of hundreds."
)
FAULTS_SEED = Setting("FAULTS_SEED", kinds.Whole(0, 10**15), 20_261_123, "Seed of the random kills.", "a fixed one")
