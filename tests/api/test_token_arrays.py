"""Arrays of tokens as embedding input, which LangChain sends by the hundred thousand."""

import pytest

from aiinfra.failures import ApiError
from aiinfra.json_body import INTEGER_MAX, NODES_MAX, check_tree

TOKENS = list(range(300))


def test_array_of_integers_counts_as_one_member() -> None:
    check_tree({"input": [TOKENS] * 100})
    check_tree({"input": list(range(NODES_MAX + 1))})


@pytest.mark.parametrize("wrong", [1.5, True, "x", None])
def test_members_of_other_arrays_are_counted(wrong: object) -> None:
    with pytest.raises(ApiError) as refusal:
        check_tree({"input": [*range(NODES_MAX), wrong]})
    assert f"more than {NODES_MAX:,} members" in refusal.value.message


@pytest.mark.parametrize("wrong", [INTEGER_MAX + 1, -INTEGER_MAX - 1])
def test_oversized_integer_is_named_by_its_path(wrong: int) -> None:
    with pytest.raises(ApiError) as refusal:
        check_tree({"input": [1, wrong, 2]})
    assert refusal.value.param == "input.1"


def test_empty_array_is_accepted() -> None:
    check_tree({"input": []})
