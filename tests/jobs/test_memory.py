"""What a further micrograph, and a further particle, takes of memory while they are picked and extracted.

What Python and NumPy have allocated is asked after every micrograph; all are links to one file. Bounds are
what has to be kept of each, counted.
"""

import os
import tracemalloc

import numpy as np
import pandas as pd
import pytest

from boxwood.io.mrc import write_stack
from boxwood.io.star import write_star
from boxwood.jobs.api import Project

PIXEL, EDGE, SPACING = 5.0, 256, 24
PER_MICROGRAPH = 100
FIRST, LAST = 10, 40  # micrographs between which memory is compared
# Of a name: the text, its path, what reserves its file, and what is said of it in tables and checksums.
NAME_BYTES = 5_000
COLUMNS = 16  # of particles.star; 8 bytes each, a pointer for a name
PARTICLE_TEXT = 150  # the image's name, which no other particle has, as Python's text


def make(folder, count):
    """Micrographs with particles in the middle of a lattice, and their coordinates."""
    (folder / "Micrographs").mkdir(parents=True)
    (folder / "picks/Micrographs").mkdir(parents=True)
    rng = np.random.default_rng(1)
    y, x = (np.mgrid[:EDGE, :EDGE] % SPACING) - SPACING // 2
    spots = np.exp(-(x**2 + y**2) / 18)
    write_stack(folder / "one.mrc", rng.normal(0, 0.3, spots.shape) - 2 * spots, PIXEL)
    place = np.arange(10) * SPACING + SPACING // 2
    table = pd.DataFrame({"rlnCoordinateX": np.tile(place, 10), "rlnCoordinateY": np.repeat(place, 10)})
    write_star(folder / "one.star", {"": table.astype(float)})
    names = [f"Micrographs/{i:04d}.mrc" for i in range(count)]
    for name in names:
        os.link(folder / "one.mrc", folder / name)
        os.link(folder / "one.star", folder / "picks" / name.replace(".mrc", "_pick.star"))
    (folder / "picks/coords_suffix_pick.star").write_text("micrographs.star\n")
    optics = pd.DataFrame(
        {
            "rlnOpticsGroupName": ["opticsGroup1"],
            "rlnOpticsGroup": [1],
            "rlnMicrographPixelSize": [PIXEL],
            "rlnVoltage": [300.0],
            "rlnSphericalAberration": [2.7],
            "rlnAmplitudeContrast": [0.1],
        }
    )
    micrographs = pd.DataFrame({"rlnMicrographName": names, "rlnOpticsGroup": 1})
    micrographs = micrographs.assign(rlnDefocusU=1e4, rlnDefocusV=1.1e4, rlnDefocusAngle=10.0)
    write_star(folder / "micrographs.star", {"optics": optics, "micrographs": micrographs})


def pick(project):
    sizes = {"min_diameter": 60, "max_diameter": 90, "threshold_offset": 1}
    return project.autopick(micrographs="micrographs.star", output="auto", **sizes).values["picks"]


def extract(project):
    options = {"box_size": 16, "coordinates": "picks", "output": "extract"}
    return project.extract(micrographs="micrographs.star", **options).values["particles"]


class Memory:
    """A reporter that asks after every micrograph how much is allocated."""

    def __init__(self):
        self.after = {}

    def event(self, kind, **data):
        if kind == "progress" and data["text"] == "micrographs":
            self.after[data["done"]] = tracemalloc.get_traced_memory()[0]


@pytest.mark.parametrize(
    ("job", "particle_bytes"),
    [
        pytest.param(pick, 8, id="pick"),  # the figure of merit
        pytest.param(extract, 8 * COLUMNS + PARTICLE_TEXT, id="extract"),
    ],
)
def test_memory_grows_by_no_more_than_what_must_be_kept(tmp_path, job, particle_bytes):
    make(tmp_path / "project", LAST)
    memory = Memory()
    tracemalloc.start()
    try:
        found = job(Project(tmp_path / "project", threads=1, reporter=memory))
    finally:
        tracemalloc.stop()
    assert found == LAST * PER_MICROGRAPH
    each = NAME_BYTES + PER_MICROGRAPH * particle_bytes
    # A thread may have the next micrograph in hand, but not after every one of a few.
    few = range(8)
    first, last = (min(memory.after[n + i] - each * (n + i) for i in few) for n in (FIRST, LAST - 10))
    assert last - first < 20_000
