"""Reading ahead asks for the whole of a file, and never minds."""

import os

import numpy as np
import pandas as pd
import pytest

from boxwood.io.mrc import write_stack
from boxwood.io.particle_images import ParticleImages
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


@needs_advice
def test_the_disk_knows_of_all_images_of_a_batch_before_the_first_is_read(tmp_path, monkeypatch):
    names = []
    for name in ("a", "b"):
        write_stack(tmp_path / f"{name}.mrcs", np.ones((9, 8, 8), np.float32), 1.0)
        names += [f"{i}@{name}.mrcs" for i in range(1, 10)]
    images, told = ParticleImages(pd.Series(names), tmp_path), []
    monkeypatch.setattr("boxwood.io.mrc._GAP", 0)
    monkeypatch.setattr(
        "boxwood.io.mrc.read_ahead", lambda path, parts: told.append((path.name, list(parts)))
    )
    monkeypatch.setattr(
        "boxwood.io.mrc.read_pixels",
        lambda path, header, index: told.append(path.name) or np.ones((len(index), 8, 8)),
    )
    images.read(np.array([16, 1, 2, 5]))
    first, size = 1024, 256
    parts = [(first + i * size, first + j * size) for i, j in ((1, 3), (5, 6), (7, 8))]
    assert told == [("a.mrcs", parts[:2]), ("b.mrcs", parts[2:]), "a.mrcs", "b.mrcs"]


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
