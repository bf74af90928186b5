"""Selections agree with relion_star_handler row by row."""

import shutil
import subprocess

import mrcfile
import numpy as np
import pandas as pd
import pytest

from boxwood.io.star import read_star, write_star
from boxwood.jobs.registry import load_job
from boxwood.jobs.runner import run_job

HANDLER = shutil.which("relion_star_handler")
pytestmark = [
    pytest.mark.relion,
    pytest.mark.skipif(HANDLER is None, reason="relion_star_handler is not installed"),
]
BOX, COUNT = 32, 200
PIXEL, ORIGINAL = 3.54, 0.885


@pytest.fixture
def particles(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(5)
    images = rng.normal(0, 1, (COUNT, BOX, BOX)) * rng.normal(1, 0.1, (COUNT, 1, 1))
    images += rng.normal(0, 0.2, (COUNT, 1, 1))
    with mrcfile.new("p.mrcs") as file:
        file.set_data(images.astype(np.float32))
        file.voxel_size = PIXEL
    table = pd.DataFrame(
        {
            "rlnCoordinateX": rng.integers(0, 600, COUNT).astype(float),
            "rlnCoordinateY": rng.integers(0, 600, COUNT).astype(float),
            "rlnImageName": [f"{n:06d}@p.mrcs" for n in range(1, COUNT + 1)],
            "rlnMicrographName": [f"m{n % 3}.mrc" for n in range(COUNT)],
            "rlnOpticsGroup": 1,
            "rlnDefocusU": np.round(rng.uniform(5000, 20000, COUNT)),
            "rlnOriginXAngst": np.round(rng.normal(0, 8, COUNT), 2),
            "rlnOriginYAngst": np.round(rng.normal(0, 8, COUNT), 2),
        }
    )
    optics = pd.DataFrame(
        {
            "rlnOpticsGroupName": ["opticsGroup1"],
            "rlnOpticsGroup": [1],
            "rlnMicrographOriginalPixelSize": [ORIGINAL],
            "rlnVoltage": [200.0],
            "rlnSphericalAberration": [1.4],
            "rlnAmplitudeContrast": [0.1],
            "rlnImagePixelSize": [PIXEL],
            "rlnImageSize": [BOX],
            "rlnImageDimensionality": [2],
        }
    )
    write_star("particles.star", {"optics": optics, "particles": table})
    return table


def relion(*arguments, output="relion.star"):
    subprocess.run(
        [HANDLER, "--i", "particles.star", "--o", output, *map(str, arguments)],
        check=True,
        capture_output=True,
    )
    return read_star(output)["particles"]


def ours(**options):
    result = run_job(load_job("select-particles"), {"particles": "particles.star", **options}, output="ours")
    return result.tables


def same_rows(left, right):
    assert 0 < len(left) < COUNT
    assert list(left["rlnImageName"]) == list(right["rlnImageName"])


def test_values_with_their_ends(particles):
    low, high = sorted(particles["rlnDefocusU"])[40], sorted(particles["rlnDefocusU"])[150]
    theirs = relion("--select", "rlnDefocusU", "--minval", low, "--maxval", high)
    same_rows(theirs, ours(where=f"{low} <= rlnDefocusU <= {high}")["particles"])
    assert len(theirs) >= 111


@pytest.mark.parametrize("sigma", [1, 1.5, 2, 2.5])
def test_image_statistics(particles, sigma):
    theirs = relion("--discard_on_stats", "--discard_sigma", sigma)
    same_rows(theirs, ours(discard_sigma=sigma)["particles"])


@pytest.mark.parametrize("distance", [10, 26.55, 40, 90])
def test_duplicates(particles, distance):
    theirs = relion("--remove_duplicates", distance, "--image_angpix", ORIGINAL)
    same_rows(theirs, ours(remove_duplicates=distance)["particles"])


def test_duplicates_with_a_pixel_size(particles):
    theirs = relion("--remove_duplicates", 100)  # takes the size of a rescaled pixel for the coordinates
    same_rows(theirs, ours(remove_duplicates=100, micrograph_pixel_size=PIXEL)["particles"])


@pytest.mark.parametrize("parts", [3, 7])
def test_split(particles, parts, tmp_path):
    # It exits with an error after writing, because it looks for a folder of the output's name.
    subprocess.run(
        [HANDLER, "--i", "particles.star", "--o", "s.star", "--split", "--nr_split", str(parts)],
        capture_output=True,
    )
    sizes = [len(read_star(f"s_split{n}.star")["particles"]) for n in range(1, parts + 1)]
    found = [len(table) for table in ours(split=parts).values()]
    assert sum(sizes) == sum(found) == COUNT
    assert max(found) - min(found) <= 1 and max(found) == max(sizes)


def test_what_we_write_is_read_again(particles):
    ours(where="rlnDefocusU > 10000")
    subprocess.run(
        [HANDLER, "--i", "ours/particles.star", "--o", "again.star", "--select", "rlnDefocusU"],
        check=True,
        capture_output=True,
    )
    written, again = read_star("ours/particles.star"), read_star("again.star")
    assert list(again["particles"]["rlnImageName"]) == list(written["particles"]["rlnImageName"])
    assert list(again["particles"].columns) == list(written["particles"].columns)
