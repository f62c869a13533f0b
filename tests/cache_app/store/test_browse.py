"""Listing entries for the pages."""

from cache_app.store import browse, entries
from tests.cache_app.store.making import id_of, make_entry


def test_each_use_is_counted(org: int) -> None:
    entries.put(make_entry(org), vector=None)
    for hits in range(3):
        (listed,) = browse.page_of(org).entries
        shown = browse.entry(org, id_of(1))
        assert shown is not None
        assert (listed.hits, shown.hits) == (hits, hits)
        entries.touching(org, id_of(1)).run()


def test_pages_are_newest_first(org: int) -> None:
    for number in range(1, 6):
        entries.put(make_entry(org, number, tags=("odd",) if number % 2 else ()), vector=None)
    first = browse.page_of(org, count=3)
    rest = browse.page_of(org, count=3, cursor=first.cursor)
    assert [entry.id for entry in [*first.entries, *rest.entries]] == [id_of(number) for number in (5, 4, 3, 2, 1)]
    assert rest.cursor == ""
    assert [entry.id for entry in browse.page_of(org, tag="odd").entries] == [id_of(5), id_of(3), id_of(1)]


def test_entries_and_their_memory_are_counted(org: int) -> None:
    assert (browse.count(org), browse.memory_bytes(org)) == (0, 0)
    for number in range(1, 4):
        entries.put(make_entry(org, number), vector=None)
    assert browse.count(org) == 3
    assert browse.memory_bytes(org) > 1_000
