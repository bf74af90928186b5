"""RELION reads the picks of the adaptive method, whose files have a column that it does not know."""

import shutil
import subprocess

import numpy as np
import pandas as pd
import pytest

from boxwood.io.mrc import read_stack, write_stack
from boxwood.io.star import read_star, write_star
from boxwood.jobs.registry import load_job
from boxwood.jobs.runner import run_job

pytestmark = [
    pytest.mark.relion,
    pytest.mark.skipif(
        shutil.which("relion_preprocess") is None, reason="no relion_preprocess: apt-get install relion"
    ),
]
PIXEL = 4.0


@pytest.fixture
def picks(tmp_path, monkeypatch):
    """The coordinates, as `autopick --method adaptive` writes them."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("boxwood.jobs.autopick.PICTURES", 1)
    rng = np.random.default_rng(0)
    image = rng.standard_normal((400, 420)).astype(np.float32) + 7
    y, x = np.indices(image.shape)
    for cy in range(40, 400, 60):
        for cx in range(40, 400, 60):
            image -= np.hypot(y - cy, x - cx) < 10
    write_stack("m0.mrc", image[None], PIXEL)
    optics = pd.DataFrame(
        {
            "rlnOpticsGroupName": ["one"],
            "rlnOpticsGroup": [1],
            "rlnMicrographPixelSize": [PIXEL],
            "rlnVoltage": [200.0],
            "rlnSphericalAberration": [1.4],
            "rlnAmplitudeContrast": [0.1],
        }
    )
    rows = pd.DataFrame({"rlnMicrographName": ["m0.mrc"], "rlnOpticsGroup": [1]})
    write_star("micrographs.star", {"optics": optics, "micrographs": rows})
    options = {"micrographs": "micrographs.star", "method": "adaptive", "diameter": "80"}
    run_job(load_job("autopick"), options, threads=2, output="pick/")
    table = read_star("pick/m0_autopick.star")[""]
    assert "boxwoodLocalFdr" in table
    assert len(table) > 20
    return table


def relion(*command):
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_relion_prints_the_picks(picks):
    """Its table has the coordinates, in the order of the file."""
    text = relion(
        "relion_star_printtable", "pick/m0_autopick.star", "data_", "_rlnCoordinateX", "_rlnCoordinateY"
    )
    values = np.array([[float(word) for word in line.split()] for line in text.splitlines() if line.strip()])
    assert np.abs(values - picks[["rlnCoordinateX", "rlnCoordinateY"]].to_numpy()).max() < 1e-3


def test_relion_extracts_the_picks(picks):
    """All of them, where they are, with their figures of merit."""
    command = ["relion_preprocess", "--i", "micrographs.star", "--coord_dir", "pick/", "--coord_suffix"]
    command += ["_autopick.star", "--part_star", "out/particles.star", "--part_dir", "out/", "--extract"]
    relion(*command, "--extract_size", "36", "--norm", "--bg_radius", "14", "--invert_contrast")
    found = read_star("out/particles.star")["particles"]
    assert len(found) == len(picks)
    for label in ("rlnCoordinateX", "rlnCoordinateY", "rlnAutopickFigureOfMerit"):
        assert np.abs(found[label].to_numpy(float) - picks[label].to_numpy(float)).max() < 1e-3
    images = read_stack(found["rlnImageName"].iloc[0].split("@")[1])[:]
    # particles are bright once contrast is inverted: RELION found the picks where they are
    assert images[:, 14:22, 14:22].mean() > images[:, :4].mean() + 0.3
