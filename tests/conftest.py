"""Fixtures for every test: where the real data are, and simulated particles."""

import gc
import os
import re
import shutil
import signal
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, settings
from real_data import DATA

from boxwood.io.mrc import write_stack
from boxwood.io.particles import ParticleSet
from boxwood.simulate.particles import simulate_particles

# A shell that starts tests in the background has them ignore Ctrl-C, which some of them send.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# A busy machine is slow; that is no fault of an example.
settings.register_profile("boxwood", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("boxwood")

pytest_plugins = ("browsing",)  # beside this file

# What `-m "not slow"` leaves out, besides tests that are marked one by one: folders and files that wait for
# other programs or do whole jobs, and what needs a browser or the emulation of CUDA to be compiled. Of the
# instruction sets the first is left, which every processor has.
SLOW = (
    "cli/", "cluster/", "faults/", "jobs/", "kernels/test_cuda_", "relion/", "users/",
    "class2d/test_groups.py", "class2d/test_options.py", "codebase/test_docs.py", "codebase/test_readme.py",
    "io/test_samples.py", "io/test_star_samples.py", "picking/test_adaptive.py", "picking/test_templates.py",
    "web/test_picks.py", "web/test_tuning.py",
)  # fmt: skip
# These take longest. They begin first, so that no process ends long after the others.
LONG = (
    "codebase/test_benchmarks.py", "codebase/test_docs.py", "jobs/test_killed_jobs.py",
    "kernels/test_cuda_build.py", "kernels/test_cuda_sanitizers.py",
)  # fmt: skip
SLOW_BACKENDS = re.compile(r"\b(emulated|avx2|avx512|avx512bf16)\b")
QUICK_JOBS = tuple(f"jobs/test_{name}.py" for name in ("abort", "api", "extract", "runner", "select"))
SLOW_FIXTURES = {"browser", "start_server", "builder"}


def pytest_xdist_auto_num_workers() -> int:
    """One more than there are processors, for many tests wait for a browser or for a program."""
    return len(os.sched_getaffinity(0)) + 1


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what is slow, and let it begin first, the longest before all."""

    def place(item: pytest.Item) -> str:
        return item.path.relative_to(Path(__file__).parent).as_posix()

    for item in items:
        backend = SLOW_BACKENDS.search(item.nodeid.removeprefix(item.nodeid.split("[")[0]))
        listed = place(item).startswith(SLOW) and not place(item).startswith(QUICK_JOBS)
        if listed or backend or SLOW_FIXTURES & set(item.fixturenames):
            item.add_marker(pytest.mark.slow)
    items.sort(key=lambda item: (place(item) not in LONG, item.get_closest_marker("slow") is None))


def pytest_collection_finish() -> None:
    """Spare the garbage collector the thousands of tests that were collected: they stay to the end."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real data, or a skipped test."""
    if not DATA.is_dir():
        pytest.skip(f"no real data at {DATA} (set BOXWOOD_DATA)")
    return DATA


@pytest.fixture(scope="session")
def make_particles():
    """A function that writes simulated particles of three views on three micrographs, in no order.

    It makes stacks and particles.star in a project folder and returns the table of the particles.
    """

    def write(folder, count, box, pixel_size):
        simulated = simulate_particles(count, box, pixel_size, classes=3, snr=0.5, max_offset_px=1.5, seed=2)
        rng = np.random.default_rng(1)
        micrograph = rng.integers(3, size=count)
        names = np.empty(count, dtype=object)
        for m in range(3):
            rows = np.flatnonzero(micrograph == m)
            stack = f"Extract/job007/m{m}.mrcs"
            write_stack(folder / stack, simulated.images[rows], pixel_size)
            names[rows] = [f"{i + 1:06d}@{stack}" for i in range(len(rows))]
        ctf = simulated.ctf_rows
        table = pd.DataFrame(
            {
                "rlnCoordinateX": rng.uniform(0, 4000, count),
                "rlnImageName": names,
                "rlnMicrographName": [f"MotionCorr/job002/m{m}.mrc" for m in micrograph],
                "rlnOpticsGroup": 1,
                "rlnDefocusU": ctf[:, 0],
                "rlnDefocusV": ctf[:, 1],
                "rlnDefocusAngle": ctf[:, 2],
                "rlnCtfBfactor": ctf[:, 7],
                "mine": np.arange(count),
            }
        )
        optics = pd.DataFrame(
            {
                "rlnOpticsGroupName": ["opticsGroup1"],
                "rlnOpticsGroup": [1],
                "rlnVoltage": [200.0],
                "rlnSphericalAberration": [1.4],
                "rlnAmplitudeContrast": [0.1],
                "rlnImagePixelSize": [pixel_size],
                "rlnImageSize": [box],
                "rlnImageDimensionality": [2],
            }
        )
        ParticleSet(optics, table).write(folder / "particles.star")
        return table

    return write


@pytest.fixture(scope="session")
def whole(tmp_path_factory):
    """A project with picks, particles and classes, to be copied by `copy`; see small.py for its options."""
    sys.path.insert(0, str(Path(__file__).parent / "jobs"))  # small.py, whose options these are
    import small

    folder = tmp_path_factory.mktemp("whole")
    small.build(folder)
    return folder


@pytest.fixture
def copy(whole, tmp_path):
    """A copy of it, to be spoiled; spaces and letters of Europe in its name."""
    return Path(shutil.copytree(whole, tmp_path / "Prøject 1", symlinks=True))
