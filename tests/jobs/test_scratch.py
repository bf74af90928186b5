"""Particles on a scratch disk: the same bits, as many as fit, and nothing left behind."""

import errno
import os
import pickle
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import boxwood
from boxwood.errors import InputError, JobAborted
from boxwood.io.mrc import write_stack
from boxwood.io.particle_images import ParticleImages
from boxwood.jobs.class2d.scratch import copied
from boxwood.jobs.context import JobContext
from boxwood.jobs.registry import load_job
from boxwood.jobs.runner import run_job

BOX, PIXEL = 16, 5.0
RNG = np.random.default_rng(5)


class Said:
    """A reporter that keeps lines and warnings."""

    def __init__(self):
        self.texts = []

    def event(self, kind, **data):
        if kind in ("log", "warning"):
            self.texts.append(data["text"])


@pytest.fixture
def said():
    return Said()


@pytest.fixture
def context(tmp_path, said):
    return JobContext(tmp_path / "job", threads=3, reporter=said)


@pytest.fixture
def scratch(tmp_path):
    folder = tmp_path / "scratch disk"
    folder.mkdir()
    return folder


@pytest.fixture
def images(tmp_path):
    """80 images of float32, 40 of float16, 40 of another size, in no order; and an unreadable stack."""
    names = []
    for name, count, box, half in (("a", 80, BOX, False), ("b", 40, BOX, True), ("c", 40, 2 * BOX, False)):
        write_stack(tmp_path / f"{name}.mrcs", RNG.normal(size=(count, box, box)), PIXEL, half)
        names += [f"{i + 1}@{name}.mrcs" for i in range(count)]
    names = [*RNG.permutation(names), "1@gone.mrcs"]
    groups = np.array([int("c.mrcs" in name) for name in names])
    return ParticleImages(pd.Series(names), tmp_path, groups)


def read_all(images, rows=None):
    rows = np.flatnonzero(images.usable) if rows is None else rows
    return [images.read(rows[images.boxes[rows] == box]) for box in (BOX, 2 * BOX)]


def remove_stacks(folder):
    for path in folder.glob("*.mrcs"):
        path.unlink()


def test_the_copy_has_the_same_bits(images, scratch, context, said, tmp_path, monkeypatch):
    monkeypatch.setattr("boxwood.jobs.class2d.scratch._PIECE", 5 * 4 * BOX**2)  # many pieces
    before = read_all(images)
    with copied(images, scratch, 0, context):
        remove_stacks(tmp_path)  # so that it is the copy that is read
        for one, other in zip(before, read_all(images), strict=True):
            assert one.dtype == other.dtype == np.float32 and np.array_equal(one, other)
        assert not list(scratch.iterdir())
    size = (80 * 4 + 40 * 2 + 40 * 16) * BOX**2  # float16 stays float16
    assert said.texts == [f"160 particles ({size / 1000:.0f} kB) are read from their copy"]


def test_only_what_fits_is_copied(images, scratch, context, said, tmp_path, monkeypatch):
    before = read_all(images)
    monkeypatch.setattr("boxwood.jobs.class2d.scratch.free_bytes", lambda _: 500_000)
    with copied(images, scratch, 400_000, context):
        for one, other in zip(before, read_all(images), strict=True):
            assert np.array_equal(one, other)
        there = np.flatnonzero(images.file_of_row >= 4)
        assert 0 < len(there) < 160 and len(there) == there.max() + 1  # the first, wherever they come from
        remove_stacks(tmp_path)
        read_all(images, there)
    assert "the 160 particles take 266 kB" in said.texts[0]
    assert f"500 kB free, of which 400 kB are kept free: only the first {len(there)} are" in said.texts[0]


def test_nothing_is_copied_where_there_is_no_room(images, scratch, context, said, monkeypatch):
    monkeypatch.setattr("boxwood.jobs.class2d.scratch.free_bytes", lambda _: 500_000)
    files = images.file_of_row.copy()
    with copied(images, scratch, 1e6, context):
        assert np.array_equal(images.file_of_row, files)
    assert "none is copied there" in said.texts[0]


def test_room_that_another_takes_first(images, scratch, context, said, monkeypatch):
    """The room is taken before anything is copied, so that two jobs cannot be promised the same."""
    taken = []

    def allocate(file, start, size):
        taken.append(size)
        if len(taken) < 3:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("boxwood.jobs.class2d.scratch.os.posix_fallocate", allocate)
    before = read_all(images)
    with copied(images, scratch, 0, context):
        for one, other in zip(before, read_all(images), strict=True):
            assert np.array_equal(one, other)
    assert len(taken) == 3 and taken[2] < taken[0] / 3 and "only the first" in said.texts[0]


def test_two_jobs_share_a_scratch_disk(images, scratch, context, tmp_path):
    before = read_all(images)
    others = ParticleImages(pd.Series(["1@a.mrcs", "80@a.mrcs"]), tmp_path)
    theirs = others.read([0, 1])
    with copied(images, scratch, 0, context), copied(others, scratch, 0, context):
        remove_stacks(tmp_path)
        assert np.array_equal(others.read([0, 1]), theirs)
        assert all(np.array_equal(*pair) for pair in zip(before, read_all(images), strict=True))


def test_what_cannot_be_read_is_left_where_it_is(images, scratch, context, said, tmp_path, monkeypatch):
    """A file that was cut off since it was opened; who needs its images will name them."""
    monkeypatch.setattr("boxwood.jobs.class2d.scratch._PIECE", 4 * BOX**2)
    os.truncate(tmp_path / "a.mrcs", 1024 + 4 * BOX**2 * 50)
    with copied(images, scratch, 0, context):
        assert np.count_nonzero(images.file_of_row < 4) == 30 + 1  # and the stack that is not there
    assert said.texts[0] == "30 particles could not be copied, and are read from where they are"


def test_a_folder_that_is_none_is_refused(images, scratch, context):
    with (
        pytest.raises(InputError, match=r"scratch is .*nowhere, which cannot be written to \(No such file"),
        copied(images, scratch / "nowhere", 0, context),
    ):
        pass


def test_an_abort_ends_the_copying(images, scratch, context):
    context.output.mkdir()
    context.abort_file.touch()
    with pytest.raises(JobAborted), copied(images, scratch, 0, context):
        pass
    assert not list(scratch.iterdir())


def test_another_process_reads_the_particles_where_they_were(images, scratch, context):
    """There the copy's number is that of another file, or of none, so it cannot be sent by mistake."""
    rows = np.flatnonzero(images.usable & (images.boxes == BOX))
    with copied(images, scratch, 0, context):
        sent = pickle.loads(pickle.dumps(images.select(rows)))
        np.testing.assert_array_equal(sent.read(np.arange(len(rows))), images.read(rows))
        with pytest.raises(TypeError, match="pickle"):
            pickle.dumps(images)


KILLED = """
import os, signal, sys
from pathlib import Path
import pandas as pd
from boxwood.io.particle_images import ParticleImages
from boxwood.jobs.class2d.scratch import copied
from boxwood.jobs.context import JobContext
images = ParticleImages(pd.Series([f"{i + 1}@a.mrcs" for i in range(80)]), sys.argv[1])
with copied(images, Path(sys.argv[2]), 0, JobContext("job")):
    assert os.stat(f"/proc/self/fd/{images._stacks[-1]._open_pixels.args[0].fileno()}").st_size
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_killed_job_leaves_nothing(images, scratch, tmp_path):
    environment = {**os.environ, "PYTHONPATH": str(Path(boxwood.__file__).parents[1])}
    done = subprocess.run([sys.executable, "-c", KILLED, tmp_path, scratch], env=environment, timeout=300)
    assert done.returncode == -signal.SIGKILL and not list(scratch.iterdir())


def test_a_classification_is_the_same_to_the_last_bit(tmp_path, make_particles, scratch, said):
    make_particles(tmp_path, 60, 32, 7.0)
    settings = {
        "particles": "particles.star",
        **{"classes": 2, "iterations": 2, "mask_diameter": 180.0, "psi_step": 18.0, "offset_range": 2.0},
        "memory_gib": 1e-6,  # nothing is kept in memory
    }
    job = load_job("class2d")
    run_job(job, settings, project=tmp_path, output="plain", threads=2)
    copy = {"scratch": scratch, "keep_free_scratch": 0.0}
    run_job(job, settings | copy, project=tmp_path, output="copy", threads=2, reporter=said)
    assert "60 particles (246 kB) are read from their copy" in said.texts
    for kind in ("classes.mrcs", "data.star", "state.npz"):
        one, other = (tmp_path / folder / f"run_it002_{kind}" for folder in ("plain", "copy"))
        assert one.read_bytes() == other.read_bytes()
    assert not list(scratch.iterdir())
