"""Jobs stop soon after RELION_JOB_ABORT_NOW, Ctrl-C or SIGTERM, whatever they are doing then."""

import os
import signal
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from boxwood.backends import get_backend
from boxwood.errors import JobAborted
from boxwood.io.atomic import atomic_write
from boxwood.jobs.runner import run_job
from boxwood.project.pipeline import Pipeline
from boxwood.stopping import check_stop

OPTIONS = {"micrographs": "micrographs.star"}
JOB = Path("AutoPick/job001")
# Without the abort none of these jobs ends within that.
pytestmark = pytest.mark.timeout(120)


def filter_micrograph(size):
    """Filter it by 255 Laplacians; of 4096 pixels a side it takes minutes."""
    image = np.random.default_rng(0).standard_normal((size, size), dtype=np.float32)
    get_backend("cpu").log_pick_maps(image, np.zeros(0, np.float32), size, np.ones(255), 8.0, -1.0, 1)


def kernels(options, context):
    while True:
        filter_micrograph(64)


def one_long_kernel(options, context):
    filter_micrograph(4096)


def kernels_in_threads(options, context):
    list(context.map(lambda _: kernels(options, context), range(4)))


def plain_python(options, context):
    while True:
        time.sleep(0.01)


def writing(options, context):
    with atomic_write(context.output / "endless.star") as file:
        while True:
            file.write(bytes(100))
            file.seek(0)


def writing_in_threads(options, context):
    list(context.map(lambda _: writing(options, context), range(2)))


class Abort:
    """Makes the abort file, or sends a signal, when the job has begun."""

    def __init__(self, number=None):
        self.number = number

    def event(self, kind, **data):
        if kind == "start" and self.number is None:
            (JOB / "RELION_JOB_ABORT_NOW").touch()
        elif kind == "start":
            threading.Timer(0.5, lambda: os.kill(os.getpid(), self.number)).start()


def assert_stopped():
    assert Pipeline.read("default_pipeline.star").jobs()[0].status == "Aborted"
    names = {path.name for path in JOB.iterdir()}
    assert "RELION_JOB_EXIT_ABORTED" in names and "RELION_JOB_ABORT_NOW" not in names
    assert not [name for name in names if "endless" in name or name.endswith(".tmp")]
    assert not Path(".relion_lock").exists()
    check_stop()  # nothing is stopping any more


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize(
    "work", [kernels, kernels_in_threads, one_long_kernel, plain_python, writing, writing_in_threads]
)
def test_the_abort_file_stops_any_work(project, toy, work, threads):
    with pytest.raises(JobAborted, match="every file in AutoPick/job001/ is whole"):
        run_job(replace(toy, run=work), OPTIONS, threads=threads, reporter=Abort())
    assert_stopped()
    assert run_job(toy, OPTIONS).tables["sizes"].shape == (3, 2)


@pytest.mark.parametrize("work", [kernels_in_threads, writing_in_threads])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_stop_what_threads_do(project, toy, work, number, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    before = signal.signal(number, interrupt)
    try:
        with pytest.raises(JobAborted):
            run_job(replace(toy, run=work), OPTIONS, threads=2, reporter=Abort(number))
        assert signal.getsignal(number) is interrupt
    finally:
        signal.signal(number, before)
    assert_stopped()


def test_a_job_in_a_thread_of_its_own_is_stopped(project, toy):
    """It cannot be interrupted anywhere, but in kernels and writers."""
    errors = []

    def run():
        try:
            run_job(replace(toy, run=kernels), OPTIONS, reporter=Abort())
        except JobAborted as error:
            errors.append(str(error))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert len(errors) == 1
    assert_stopped()


def test_a_picture_does_not_hide_an_abort(project, toy):
    def draws(options, context):
        with context.picture("endless.png"):
            kernels(options, context)

    with pytest.raises(JobAborted):
        run_job(replace(toy, run=draws), OPTIONS, reporter=Abort())
    assert_stopped()
