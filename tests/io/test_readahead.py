"""Reading ahead asks for the whole of a file, and never minds."""

import os

import pytest

from boxwood.io.readahead import read_ahead
from boxwood.jobs.context import JobContext

needs_advice = pytest.mark.skipif(
    not hasattr(os, "posix_fadvise"), reason="the system takes no advice on files"
)


@needs_advice
@pytest.mark.parametrize("size", [0, 1, 128 * 1024, 300_001])
def test_every_byte_is_asked_for_once(tmp_path, monkeypatch, size):
    path, asked = tmp_path / "m.mrc", []
    path.write_bytes(bytes(size))
    monkeypatch.setattr(
        os, "posix_fadvise", lambda file, start, length, advice: asked.append((start, length))
    )
    read_ahead(path)
    ends = [0, *(start + length for start, length in asked)]
    assert [start for start, _ in asked] == ends[:-1] and ends[-1] >= size
    # Linux reads no more than the device's read-ahead of each request, which is 128 KiB by default.
    assert all(length <= 128 * 1024 for _, length in asked)


def test_what_cannot_be_read_is_left_to_its_reader(tmp_path):
    read_ahead(tmp_path / "missing.mrc")
    read_ahead(tmp_path)


def test_the_next_file_is_read_while_one_is_worked_on(tmp_path, monkeypatch):
    told = []
    monkeypatch.setattr("boxwood.io.readahead.read_ahead", told.append)
    context = JobContext(tmp_path, threads=1)
    for done in context.map(
        lambda item: list(told), [f"m{i}" for i in range(5)], reads=lambda n: tmp_path / n
    ):
        # Taken when the one before it was under way, at the latest.
        assert tmp_path / done.item in done.result
        number = int(done.item[1])
        assert len(told) >= min(number + 2, 5)


def test_items_that_read_nothing_are_passed_on(tmp_path, monkeypatch):
    told = []
    monkeypatch.setattr("boxwood.io.readahead.read_ahead", told.append)
    context = JobContext(tmp_path, threads=2)
    assert [d.result for d in context.map(str, [1, 2, 3], reads=lambda item: None)] == ["1", "2", "3"]
    assert told == []
