"""`autopick --align` as users run it: from the command line to coordinates that lie on the centres."""

import mrcfile
import numpy as np
import pandas as pd
import pytest
from scipy.spatial.distance import pdist

from boxwood.cli.command import main
from boxwood.io.coordinates import read_coordinates
from boxwood.io.star import write_star
from boxwood.jobs.adaptive_align import centre_of_average
from boxwood.jobs.picking_model import read_model
from boxwood.picking.adaptive.model import DISTANCE

PIXEL = 4.0
GRID = range(45, 400, 62)


def lopsided(seed):
    """A micrograph of particles of a large and a small dark lobe, and their centres of mass."""
    rng = np.random.default_rng(seed)
    image = 0.7 * rng.standard_normal((400, 420)).astype(np.float32) + 7
    y, x = np.indices(image.shape)
    centres = np.array([(cx, cy) for cy in GRID for cx in GRID]) + rng.uniform(-8, 8, (len(GRID) ** 2, 2))
    for (cx, cy), angle in zip(centres, rng.uniform(0, 2 * np.pi, len(centres)), strict=True):
        # Their areas are as 16 to 9, so the centre divides the distance between them as 9 to 16.
        for radius, away in ((8.0, -5.04), (6.0, 8.96)):
            lobe = np.hypot(y - cy - away * np.sin(angle), x - cx - away * np.cos(angle))
            image -= np.clip(radius + 0.5 - lobe, 0, 1)
    return image, centres


@pytest.fixture
def truth(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("boxwood.jobs.autopick.PICTURES", 1)
    truth = {}
    for name in ("m0", "m1", "m2"):
        image, truth[name] = lopsided(int(name[1:]))
        with mrcfile.new(f"{name}.mrc") as file:
            file.set_data(image)
            file.voxel_size = PIXEL
    optics = pd.DataFrame(
        {"rlnOpticsGroupName": ["one"], "rlnOpticsGroup": [1], "rlnMicrographPixelSize": [PIXEL]}
    )
    rows = pd.DataFrame({"rlnMicrographName": [f"{name}.mrc" for name in truth], "rlnOpticsGroup": 1})
    write_star("micrographs.star", {"optics": optics, "micrographs": rows})
    return truth


def test_aligned_picks_of_the_command_line_lie_on_the_centres(truth):
    command = ["autopick", "--micrographs", "micrographs.star", "--method", "adaptive", "--threads", "2"]
    command += ["--min-diameter", "90", "--max-diameter", "120"]
    assert main([*command, "--output", "plain"]) == 0
    assert main([*command, "--model", "plain/picking_model.star", "--align", "--output", "aligned"]) == 0
    errors = {}
    for job in ("plain", "aligned"):
        near = []
        for name, centres in truth.items():
            picks = read_coordinates(f"{job}/{name}_autopick.star")
            xy = picks[["rlnCoordinateX", "rlnCoordinateY"]].to_numpy(np.float64)
            near.append(np.hypot(*(xy[:, None] - centres).T).min(axis=1))
            assert (near[-1] < 12).sum() >= 0.8 * len(centres)
            assert picks["boxwoodLocalFdr"].between(0, 1).all()
            assert picks["rlnAutopickFigureOfMerit"].is_monotonic_decreasing
        errors[job] = np.median(np.concatenate(near))
    assert errors["aligned"] < 0.7 * errors["plain"]


@pytest.mark.parametrize("distance", [None, 120])
def test_aligned_picks_are_as_far_apart_as_told(truth, distance):
    """Neighbours are about as far from one another as the distance, so picks move to and fro across it."""
    command = ["autopick", "--micrographs", "micrographs.star", "--method", "adaptive", "--threads", "2"]
    command += ["--min-diameter", "90", "--max-diameter", "120", "--align", "--output", "aligned"]
    command += [] if distance is None else ["--min-distance", str(distance)]
    assert main(command) == 0
    if distance is None:
        model = read_model("aligned/picking_model.star")
        distance = DISTANCE * model.diameter_angstrom
    total = 0
    for name in truth:
        picks = read_coordinates(f"aligned/{name}_autopick.star")
        xy = PIXEL * picks[["rlnCoordinateX", "rlnCoordinateY"]].to_numpy(np.float64)
        total += len(xy)
        assert pdist(xy).min() > distance
    assert total > 20


def test_centre_of_an_average_is_that_of_its_bright_part():
    y, x = np.indices((42, 42)) - 21
    rng = np.random.default_rng(0)
    for _ in range(5):
        cx, cy = rng.uniform(-3, 3, 2)
        radius = np.hypot(x - cx, y - cy)
        # a particle in a dark halo, and a neighbour at the edge of the box
        average = np.exp(-0.5 * (radius / 5) ** 2) - 0.3 * np.exp(-0.5 * ((radius - 14) / 2) ** 2)
        average += np.exp(-0.5 * np.hypot(x - 20, y + 18) ** 2)
        centre = centre_of_average(average, 28.0)
        assert np.abs(centre - (cx, cy)).max() < 0.25
