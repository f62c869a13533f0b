import pytest

from aiinfra.configuration.spelling import misspelled
from aiinfra.configuration.table import SETTINGS


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("AIINFRA_HTTP", "AIINFRA_HTTPS"),
        ("AIINFRA_COLOR", ""),
        ("QUEUE_RETENTON_DAYS", "QUEUE_RETENTION_DAYS"),
        ("WORKER_PROCESS", "WORKER_PROCESSES"),
        ("worker_threads", "WORKER_THREADS"),
        ("UPSTASH_REDIS_REST_TOKENS", "UPSTASH_REDIS_REST_TOKEN"),
    ],
)
def test_a_misspelled_setting_is_detected(name: str, meant: str) -> None:
    assert misspelled([name]) == {name: meant}


def test_variables_of_other_programs_are_ignored() -> None:
    others = ["HOME", "PATH", "HOST", "PORTS", "PYTHONPATH", "REDIS_HOST", "DATABASE_HOST", "LOGNAME", "DISPLAY"]
    assert misspelled([*others, *SETTINGS]) == {}


def test_a_key_of_a_compatible_provider_is_known() -> None:
    assert misspelled(["OPENAI2_API_KEY"], ["OPENAI2_API_KEY"]) == {}
