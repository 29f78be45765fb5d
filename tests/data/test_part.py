"""Batches: an order that is a function of (seed, epoch), whole, prefetched; test read once."""

import threading
import time

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from stroma.core.errors import ArgumentError, DataError
from stroma.data.arrays import arrays
from stroma.data.cache import ArrayStore
from stroma.data.part import Part, ahead, batch_bounds


def part_of(count: int) -> Part:
    pixels = np.arange(count * 12, dtype=np.int64).reshape(count, 2, 2, 3).astype(np.uint8)
    names = [f"{i}.png" for i in range(count)]
    return Part(ArrayStore(pixels), np.arange(count)[::-1], np.arange(count) % 3, names)


@given(st.integers(1, 60), st.integers(1, 20), st.integers(0, 9), st.integers(0, 3))
@settings(max_examples=60, deadline=None)
def test_an_epoch_holds_each_sample_once(count: int, size: int, seed: int, epoch: int) -> None:
    part = part_of(count)
    source = part.batches(size, seed=seed)
    batches = list(source.epoch(epoch))
    assert len(batches) == len(source)
    indices = np.concatenate([b.indices for b in batches])
    assert sorted(indices) == list(range(count)) and source.samples == count
    everything = part.images()
    for batch in batches:
        assert batch.x.dtype == torch.uint8 and batch.x.is_contiguous()
        assert np.array_equal(batch.x.numpy(), everything[batch.indices])
        assert np.array_equal(batch.y.numpy(), part.labels[batch.indices])
        assert batch.y.dtype == torch.int64 and batch.size == len(batch.x)
    if count > 1 and size > 1:
        assert min(b.size for b in batches) > 1  # BatchNorm cannot train on one sample


@given(st.integers(0, 50), st.integers(1, 20), st.booleans())
def test_bounds_tile_the_samples(count: int, size: int, drop_last: bool) -> None:
    bounds = batch_bounds(count, size, drop_last)
    edges = [0, *(stop for _, stop in bounds)]
    assert [start for start, _ in bounds] == edges[:-1]
    assert edges[-1] == (count // size * size if drop_last else count)
    assert all(stop - start <= size + (not drop_last) for start, stop in bounds)


def test_order_depends_on_seed_and_epoch_alone() -> None:
    part = part_of(50)

    def order(seed: int, epoch: int, first: int = 0) -> list[int]:
        batches = part.batches(8, seed=seed).epoch(epoch, first)
        return [int(i) for b in batches for i in b.indices]  # type: ignore[union-attr]

    assert order(1, 0) == order(1, 0) != order(1, 1)
    assert order(1, 0) != order(2, 0)
    assert order(1, 3, first=2) == order(1, 3)[16:]  # a resumed run goes on where it stopped
    plain = [int(i) for b in part.batches(8, shuffle=False).epoch(5) for i in b.indices]
    assert plain == list(range(50))


def test_names_and_takes() -> None:
    part = part_of(10)
    assert part.batches(4).name_of(3) == "3.png"
    assert part.images([]).shape == (0, 2, 2, 3) and part.images(slice(2)).shape[0] == 2
    some = part.take(part.labels == 1)
    assert len(some) == 3 and set(some.labels) == {1}
    assert np.array_equal(some.images(), part.images(np.flatnonzero(part.labels == 1)))
    with pytest.raises(ArgumentError, match="batch_size"):
        part.batches(0)


def test_a_kept_batch_is_not_overwritten() -> None:
    part = part_of(40)
    kept = list(part.batches(4, shuffle=False).epoch(0))
    assert np.array_equal(torch.cat([b.x for b in kept]).numpy(), part.images())


def test_errors_in_the_thread_reach_the_loop_and_leaving_early_ends_it() -> None:
    def failing():  # type: ignore[no-untyped-def]
        yield 1
        raise DataError("cat/3.png has changed")

    with pytest.raises(DataError, match=r"cat/3\.png"):
        list(ahead(failing()))
    before = threading.active_count()
    for batch in part_of(50).batches(2).epoch(0):
        assert batch.size == 2
        break
    deadline = time.monotonic() + 5
    while threading.active_count() > before and time.monotonic() < deadline:
        time.sleep(0.01)
    assert threading.active_count() == before


def test_test_part_is_read_once() -> None:
    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, (60, 4, 4, 3), dtype=np.uint8)
    data = arrays(x, np.arange(60) % 2)
    assert data.test.reads == 0 and len(data.test.labels) == len(data.test)
    opened = data.open_test()
    assert data.test.reads == 1
    for _ in range(3):  # one opening, as many passes as the report needs
        opened.images()
        list(opened.batches(8, shuffle=False).epoch(0))
    for second in (  # the planted second reads
        lambda: data.open_test(),
        lambda: data.test.images(),
        lambda: data.test.batches(4).epoch(0),
        lambda: data.test.take([0]).images(),
    ):
        with pytest.raises(DataError, match="has been read 1 time already"):
            second()
    assert data.test.reads == 1
    data.open_test(again=True)
    assert data.test.reads == 2 and data.to_json()["test_reads"] == 2
    data.train.images(), data.train.images()
    assert data.train.reads == 2
