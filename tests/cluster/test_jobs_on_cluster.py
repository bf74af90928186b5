"""Jobs done by the workers of a cluster: the bits of a local run, whatever dies in between."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import small

from boxwood.backends import cpu_status
from boxwood.class2d import classify2d
from boxwood.errors import JobAborted, JobError
from boxwood.execution import Threads
from boxwood.jobs.api import Project
from boxwood.jobs.cluster import ClusterSettings
from boxwood.jobs.compare import differences, results_in
from boxwood.simulate import simulate_particles

PIXEL = 5.0
EM = {"iterations": 3}
BATCHES = {"algorithm": "vdam", "mini_batches": 5, "save_posterior": 2}


def assert_same(project, job, other):
    """All files of results of two jobs, to the bit."""
    folders = [project / job, project / other]
    names = results_in(folders[0]) | results_in(folders[1])
    assert len(names) > 3
    assert list(differences(*folders, (job, other), names)) == []


def test_every_job_has_the_bits_of_the_local_run(copy, settings):
    local, remote = Project(copy, threads=2), {"cluster": settings}
    local.autopick(**small.PICK, **remote)
    assert_same(copy, "AutoPick/job001", "AutoPick/job004")
    local.extract(**small.BOXES, **remote)
    assert_same(copy, "Extract/job002", "Extract/job005")
    particles = {"particles": "Extract/job002/particles.star"}
    local.class2d(**particles, **small.CLASSES, **remote)
    assert_same(copy, "Class2D/job003", "Class2D/job006")


CLASSIFY = """
import json, sys
from boxwood.jobs.api import Project
from boxwood.jobs.cluster import ClusterSettings
cluster = ClusterSettings(executor="dask", scheduler=sys.argv[1]) if sys.argv[1] else None
Project(sys.argv[2], threads=1).class2d(**json.loads(sys.argv[3]), cluster=cluster)
"""


@pytest.mark.skipif(len(cpu_status()["runnable"]) < 2, reason="this processor has one instruction set only")
def test_two_jobs_of_different_instruction_sets_have_each_its_own_bits(copy, settings):
    """Done at the same time by the same workers, whose kernels have one instruction set at a time."""
    options = {"particles": "Extract/job002/particles.star", **small.CLASSES, "iterations": 8}
    found = {}
    for scheduler in ("", settings.scheduler):
        running = {}
        for simd in cpu_status()["runnable"][:2]:
            project = copy.with_name(f"{simd} {'there' if scheduler else 'here'}")
            found.setdefault(simd, []).append(shutil.copytree(copy, project))
            command = [sys.executable, "-c", CLASSIFY, scheduler, project, json.dumps(options)]
            running[simd] = subprocess.Popen(command, env={**os.environ, "BOXWOOD_SIMD": simd})
        assert {simd: process.wait() for simd, process in running.items()} == dict.fromkeys(running, 0)

    def unequal(project, other):
        job = "Class2D/job004"
        return list(differences(project / job, other / job, (job, job), results_in(project / job)))

    (here, there), (others_here, others_there) = found.values()
    assert unequal(here, there) == unequal(others_here, others_there) == []
    assert unequal(here, others_here)  # or this would tell nothing


def test_bad_micrographs_are_named(copy, settings):
    path = sorted((copy / "Micrographs").glob("*.mrc"))[1]
    path.write_bytes(path.read_bytes()[:5000])
    result = Project(copy).autopick(**small.PICK, cluster=settings)
    ((name, reason),) = result.bad
    assert name.endswith(path.name) and "truncated" in reason
    assert result.values["micrographs"] == 2


@pytest.fixture(scope="module")
def particles():
    return simulate_particles(2100, 32, PIXEL, classes=4, snr=0.5, seed=3)


@pytest.fixture(scope="module")
def local(particles):
    """Iterations in this process, by what is asked for."""
    both = {"em": EM, "vdam": BATCHES}
    return {name: list(classify(particles, Threads(2), more)) for name, more in both.items()}


def classify(particles, executor, more, progress=lambda *numbers: None):
    return classify2d(
        particles.images, particles.ctf_rows, pixel_size_angstrom=PIXEL, executor=executor, progress=progress,
        classes=6, mask_diameter_angstrom=130, psi_step_deg=20, offset_range_px=2, **more,
    )  # fmt: skip


def assert_equal(results, others):
    assert len(results) == len(others)
    for one, two in zip(results, others, strict=True):
        assert one.model.references.tobytes() == two.model.references.tobytes()
        assert one.log_likelihood == two.log_likelihood
        for name, value in vars(one.assignments).items():
            np.testing.assert_array_equal(value, getattr(two.assignments, name), err_msg=name)
        np.testing.assert_array_equal(one.model.norm, two.model.norm)
        if one.posterior is not None:
            np.testing.assert_array_equal(one.posterior.weight, two.posterior.weight)


@pytest.mark.parametrize(("name", "more"), [("em", EM), ("vdam", BATCHES)])
def test_classes_have_the_bits_of_the_local_run(particles, executor, local, name, more):
    assert_equal(list(classify(particles, executor, more)), local[name])


def test_a_worker_is_killed_in_the_middle_of_an_expectation(particles, executor, local, cluster):
    killed = []

    def kill(iteration, done, total):
        if iteration == 2 and not killed:
            process = executor._client.run(os.getpid)
            killed.extend(process.values())
            os.kill(killed[0], signal.SIGKILL)

    assert_equal(list(classify(particles, executor, EM, kill)), local["em"])
    assert killed
    cluster.wait_for_workers(2, timeout=300)


def test_a_worker_that_joins_late_gets_work(particles, executor, local, cluster):
    def join(iteration, done, total):
        if iteration == 1 and not grown:
            grown.append(cluster.scale(3))
            cluster.wait_for_workers(3, timeout=300)

    grown = []
    try:
        assert_equal(list(classify(particles, executor, EM, join)), local["em"])
        assert len(executor._workers.threads) == 3
        assert len(set(executor._homes.values())) >= 2
    finally:
        cluster.scale(2)


def test_relions_abort_file_stops_the_workers_and_the_job_goes_on(copy, settings, cluster):
    class Aborter:
        def event(self, kind, **data):
            if str(data.get("text")).startswith("iteration 1:"):
                (copy / "Class2D/job004/RELION_JOB_ABORT_NOW").touch()

    project = Project(copy, threads=2, reporter=Aborter())
    particles = {"particles": "Extract/job002/particles.star"}
    with pytest.raises(JobAborted, match="--continue"):
        project.class2d(**particles, **small.CLASSES, cluster=settings)
    assert not small.temporary_files(copy)
    assert not any(cluster.scheduler.tasks.values())  # nothing of the job is left there
    Project(copy).class2d(continue_from="Class2D/job004", cluster=settings)
    assert_same(copy, "Class2D/job003", "Class2D/job004")


def test_a_recipe_that_workers_do_not_know_is_told(copy, settings):
    said = []

    class Reporter:
        def event(self, kind, **data):
            said.append(str(data.get("text")))

    few = {**small.CLASSES, "iterations": 1, "recipe": "relion", "psi_step": 36}
    Project(copy, threads=2, reporter=Reporter()).class2d(
        particles="Extract/job002/particles.star", **few, cluster=settings
    )
    told = [text for text in said if "recipe relion is done by this process alone" in text]
    assert len(told) == 1


def test_the_scheduler_dies_and_the_job_goes_on(copy, tmp_path):
    """What it says is clear, and going on, here, gives the bits of an undisturbed run."""
    scheduler, worker, address = _start(tmp_path)
    try:

        class Killer:
            def event(self, kind, **data):
                if str(data.get("text")).startswith("iteration 1:"):
                    scheduler.kill()
                    scheduler.wait()

        project = Project(copy, threads=2, reporter=Killer())
        remote = ClusterSettings(executor="dask", scheduler=address)
        particles = {"particles": "Extract/job002/particles.star"}
        with pytest.raises(JobError, match=r"the scheduler at tcp://.* has gone; .*--continue"):
            project.class2d(**particles, **small.CLASSES, cluster=remote)
    finally:
        for process in (worker, scheduler):
            process.kill()
            process.wait()
    assert not small.temporary_files(copy)
    Project(copy, threads=2).class2d(continue_from="Class2D/job004")
    assert_same(copy, "Class2D/job003", "Class2D/job004")


def _start(folder):
    """A scheduler, a worker, and the address."""
    log = folder / "scheduler.log"
    dask = [sys.executable, "-m", "dask"]
    with log.open("w") as file:
        scheduler = subprocess.Popen(
            [*dask, "scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard"],
            stderr=file, stdout=file, cwd=folder,
        )  # fmt: skip
    address = None
    while address is None:
        assert scheduler.poll() is None, log.read_text()
        time.sleep(0.05)
        address = re.search(r"Scheduler at:\s+(tcp://\S+)", log.read_text())
    worker = subprocess.Popen(
        [*dask, "worker", address[1], "--nthreads", "1", "--no-dashboard", "--no-nanny"],
        stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL, cwd=folder,
    )  # fmt: skip
    return scheduler, worker, address[1]
