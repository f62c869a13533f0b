"""Build the rows of a partition: from Redis, or from older rows without what is gone."""

from collections.abc import Iterable
from itertools import chain, islice

import numpy as np

from cache_app.index.projection import SAMPLE, fit_projection
from cache_app.index.rows import Rows, RowsView, VectorPage
from cache_app.index.sync import PAGE, parsed, read_pages, read_size


def load_rows(organization_id: int, partition: str, dimensions: int) -> Rows:
    """All vectors that are in Redis now. Raises RedisError."""
    pages = (parsed(page, dimensions) for page in read_pages(organization_id, partition))
    return build_rows(pages, read_size(organization_id, partition), dimensions)


def build_rows(pages: Iterable[VectorPage], size: int, dimensions: int) -> Rows:
    """The rows of some pages. For many rows (about `size`) a projection is derived from the first ones.

    Redis scans in hash order, so the first rows are as good as a random sample.
    """
    pages = iter(pages)
    head = list(islice(pages, -(-SAMPLE // PAGE)))
    sample = np.concatenate([np.empty((0, dimensions), np.float32), *(page.vectors for page in head)])
    rows = Rows(dimensions, fit_projection(sample, size))
    for page in chain(head, pages):
        rows.add(page)
    return rows


def compact_rows(view: RowsView, now_ms: int, dimensions: int) -> Rows:
    """The rows of an older view that have not expired, with new directions if there are many."""
    size = view.size - view.gone(now_ms)
    rows = Rows(dimensions, fit_projection(view.sample(SAMPLE), size))
    for page in view.pages(now_ms):
        rows.add(page)
    return rows
