"""RELION goes on with what was imported: it extracts at the coordinates, and its own alignment is sharp."""

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import ndimage

from boxwood.io.mrc import read_stack, write_stack
from boxwood.io.star import read_star, write_star
from boxwood.jobs.api import Project

pytestmark = [
    pytest.mark.relion,
    pytest.mark.skipif(
        shutil.which("relion_preprocess") is None, reason="no relion_preprocess: apt-get install relion"
    ),
]
PIXEL, BOX = 1.25, 32
NAME = "MotionCorr/job002/Movies/m1.mrc"
PLACES = np.array([[31, 40], [101, 66], [120, 36], [44, 70]])


@pytest.fixture
def project(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return Project()


def relion(*words):
    done = subprocess.run(words, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_relion_extracts_at_imported_coordinates(project):
    y, x = np.indices((100, 150))
    image = -sum(np.exp(-((x - a) ** 2 + (y - b) ** 2) / 18) for a, b in PLACES)
    write_stack(NAME, image.astype(np.float32), PIXEL)
    optics = pd.DataFrame(
        {
            "rlnOpticsGroupName": ["o"],
            "rlnOpticsGroup": [1],
            "rlnMicrographOriginalPixelSize": [PIXEL],
            "rlnVoltage": [300.0],
            "rlnSphericalAberration": [2.7],
            "rlnAmplitudeContrast": [0.1],
            "rlnMicrographPixelSize": [PIXEL],
        }
    )
    micrographs = pd.DataFrame({"rlnMicrographName": [NAME], "rlnOpticsGroup": 1})
    write_star("micrographs.star", {"optics": optics, "micrographs": micrographs})
    Path("m1.box").write_text("".join(f"{a - 12}\t{b - 12}\t24\t24\n" for a, b in PLACES))
    project.import_(files=["m1.box"], micrographs="micrographs.star")
    Path("Extract/job002").mkdir(parents=True)
    relion(
        *("relion_preprocess", "--i", "micrographs.star", "--coord_dir", "Import/job001/"),
        *("--coord_suffix", "_import.star", "--part_star", "Extract/job002/particles.star"),
        *("--part_dir", "Extract/job002/", "--extract", "--extract_size", str(BOX), "--invert_contrast"),
    )
    images = read_stack("Extract/job002/Movies/m1.mrcs")[:]
    centres = [np.unravel_index(image.argmax(), image.shape) for image in images]
    assert centres == [(BOX // 2, BOX // 2)] * len(PLACES)
    ours = project.extract(
        micrographs="micrographs.star", coordinates="Import/job001", box_size=BOX, normalise=False
    )
    name = ours.tables["particles"]["rlnImageName"][0].partition("@")[2]
    np.testing.assert_allclose(read_stack(name)[:], images, atol=1e-5)


def reference():
    y, x = np.indices((BOX, BOX)) - BOX // 2
    spots = [(6, 2, 2, 1.0), (-5, 4, 1.5, 0.8), (-2, -7, 2, 1.2)]
    return sum(h * np.exp(-((x - a) ** 2 + (y - b) ** 2) / (2 * s**2)) for a, b, s, h in spots)


def turned(image, degrees):
    """SciPy's ``rotate`` about pixel n // 2: the sense in which cryoSPARC's poses turn class averages."""
    margin = np.pad(image, ((0, 1), (0, 1)))
    return ndimage.rotate(margin, degrees, reshape=False, order=3)[:BOX, :BOX]


def test_relion_aligns_cryosparcs_particles(project):
    """RELION turns and moves images by their psi and origins; their mean is the class average again."""
    n, rng = 60, np.random.default_rng(0)
    pose, shift = rng.uniform(-np.pi, np.pi, n), rng.uniform(-3, 3, (n, 2))
    images = [
        ndimage.shift(turned(reference(), np.degrees(p)), (-dy, -dx))
        for p, (dx, dy) in zip(pose, shift, strict=True)
    ]
    write_stack("sparc/J2/extract/1_particles.mrc", np.array(images), PIXEL)
    numbers = ["blob/psize_A", "ctf/accel_kv", "ctf/cs_mm", "ctf/amp_contrast", "ctf/df1_A", "ctf/df2_A",
               "ctf/df_angle_rad", "alignments2D/pose", "alignments2D/psize_A"]  # fmt: skip
    rows = np.zeros(
        n,
        [("uid", "<u8"), ("blob/path", "S60"), ("blob/idx", "<u4"), ("alignments2D/class", "<u4"),
         ("alignments2D/shift", "<f4", (2,)), *((name, "<f4") for name in numbers)],
    )  # fmt: skip
    rows["uid"], rows["blob/path"], rows["blob/idx"] = range(n), b"J2/extract/1_particles.mrc", range(n)
    rows["blob/psize_A"] = rows["alignments2D/psize_A"] = PIXEL
    rows["ctf/accel_kv"], rows["ctf/cs_mm"], rows["ctf/amp_contrast"] = 300, 2.7, 0.1
    rows["alignments2D/pose"], rows["alignments2D/shift"] = pose, shift
    np.save("sparc/J2/particles.npy", rows)
    project.import_(files=["sparc/J2/particles.npy"])
    means = {}
    for sign in (1, -1):
        tables = read_star("Import/job001/particles.star")
        tables["particles"] = tables["particles"].assign(
            rlnAnglePsi=sign * tables["particles"]["rlnAnglePsi"]
        )
        write_star("signed.star", tables)
        relion("relion_stack_create", "--i", "signed.star", "--o", f"aligned{sign}", "--apply_transformation")
        means[sign] = read_stack(f"aligned{sign}.mrcs")[:].mean(axis=0)
    right, wrong = (np.corrcoef(mean.ravel(), reference().ravel())[0, 1] for mean in means.values())
    assert right > 0.99 and wrong < 0.9, (right, wrong)
