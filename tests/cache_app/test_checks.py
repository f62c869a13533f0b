import pytest
from django.core.checks import run_checks
from pytest_django.fixtures import Settings


@pytest.mark.parametrize("name", ["CACHE_EMBEDDER", "CACHE_INDEX"])
def test_an_unknown_part_is_reported_before_the_start(settings: Settings, name: str) -> None:
    assert not run_checks()
    setattr(settings, name, "nobody's")
    assert [error.id for error in run_checks()] == [f"cache_app.{name}"]
