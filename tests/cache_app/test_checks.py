import pytest
from django.core.checks import run_checks
from pytest_django.fixtures import Settings


@pytest.mark.parametrize("name", ["CACHE_EMBEDDER", "CACHE_INDEX"])
def test_a_part_that_there_is_not_is_told_of_before_anything_starts(settings: Settings, name: str) -> None:
    assert not run_checks()
    setattr(settings, name, "nobody's")
    assert [error.id for error in run_checks()] == [f"cache_app.{name}"]
