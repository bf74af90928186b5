"""Fixtures for every test: where the real data are, and simulated particles."""

import os
import shutil
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, settings

from boxwood.io.mrc import write_stack
from boxwood.io.particles import ParticleSet
from boxwood.simulate.particles import simulate_particles

# A busy machine is slow; that is no fault of an example.
settings.register_profile("boxwood", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("boxwood")

sys.path.insert(0, str(Path(__file__).parent))
pytest_plugins = ("browsing",)  # beside this file
DATA = Path(os.environ.get("BOXWOOD_DATA", Path(__file__).parents[2] / "shared" / "data"))


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
