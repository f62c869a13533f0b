import pytest
from hypothesis import given
from hypothesis import strategies as st

from queue_app.packing import COMPRESS_ABOVE_BYTES, pack, unpack

text = st.text(st.characters(exclude_categories=["Cs"]))
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | text,
    lambda inner: st.lists(inner) | st.dictionaries(text, inner),
    max_leaves=20,
)


@given(json_values)
def test_packing_round_trips(value: object) -> None:
    assert unpack(pack(value)) == value


@given(text.filter(bool), st.integers(1, 5000))
def test_packing_long_values_round_trips(part: str, times: int) -> None:
    assert unpack(memoryview(pack({"content": part * times}))) == {"content": part * times}


@pytest.mark.parametrize(("extra", "is_compressed"), [(0, False), (1, True)])
def test_more_than_4_kib_are_compressed(extra: int, is_compressed: bool) -> None:
    value = "x" * (COMPRESS_ABOVE_BYTES - len('""') + extra)
    assert (len(pack(value)) < COMPRESS_ABOVE_BYTES) is is_compressed


def test_non_ascii_text_is_counted_in_bytes() -> None:
    assert len(pack("ü" * 2100)) < COMPRESS_ABOVE_BYTES
    assert len(pack("ü" * 100)) == len(b'j""') + 200


@pytest.mark.parametrize("value", [float("nan"), float("inf"), "\ud800"])
def test_unstorable_values_are_refused(value: object) -> None:
    with pytest.raises(ValueError, match=r"JSON|surrogates"):
        pack(value)


def test_foreign_bytes_are_refused() -> None:
    with pytest.raises(ValueError, match="unknown packing"):
        unpack(b"?abc")
