"""Coordinates of other programs on real micrographs: experts' picks of apoferritin, in every format."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from boxwood.io.coordinates import coordinate_files, read_coordinates
from boxwood.io.mrc import read_image
from boxwood.io.star import read_star_table, write_star
from boxwood.jobs.api import Project

pytestmark = pytest.mark.data
X, Y, MICROGRAPH = "rlnCoordinateX", "rlnCoordinateY", "rlnMicrographName"
DIAMETER = 64


@pytest.fixture
def project(shared_data, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("Micrographs").symlink_to(shared_data / "apoferritin10146")
    truth = read_star_table(shared_data / "apoferritin10146/truth.star", "")
    optics = {"rlnOpticsGroupName": ["o"], "rlnOpticsGroup": [1], "rlnMicrographPixelSize": [1.5]}
    names = [f"Micrographs/{name}" for name in truth[MICROGRAPH].unique()]
    tables = {
        "optics": pd.DataFrame(optics),
        "micrographs": pd.DataFrame({MICROGRAPH: names, "rlnOpticsGroup": 1}),
    }
    write_star("micrographs.star", tables)
    write_star("truth.star", {"": truth})
    return Project(), truth


def darkness(table, name):
    """Grey levels in the shells of apoferritin, against that of the whole micrograph, in its deviations."""
    image = read_image(name).data.astype(np.float64)
    image = (image - image.mean()) / image.std()
    y, x = np.indices((DIAMETER, DIAMETER)) - DIAMETER // 2
    shell = np.abs(np.hypot(y, x) - 0.4 * DIAMETER) < 5
    boxes = []
    for px, py in np.round(table[[X, Y]].to_numpy()).astype(int):
        box = image[py - DIAMETER // 2 : py + DIAMETER // 2, px - DIAMETER // 2 : px + DIAMETER // 2]
        if box.shape == shell.shape:
            boxes.append(box[shell].mean())
    return np.array(boxes)


@pytest.mark.parametrize(
    ("to", "options"),
    [
        ("eman", {"box_size": DIAMETER}),
        ("cbox", {"box_size": DIAMETER}),
        ("topaz", {"binning": 4}),
        ("cryosparc", {}),
    ],
)
def test_experts_picks_survive(project, to, options):
    run, truth = project
    run.import_(files=["truth.star"], micrographs="micrographs.star")
    run.export(directory="out", to=to, coordinates="Import/job001", micrographs="micrographs.star", **options)
    binning = {"binning": 4} if to == "topaz" else {}
    files = ["out/picked_particles.cs"] if to == "cryosparc" else ["out"]
    result = run.import_(files=files, micrographs="micrographs.star", **binning)
    assert result.values == {"picks": len(truth), "micrographs": truth[MICROGRAPH].nunique()}
    for name, path in coordinate_files(result.output).items():
        table = read_coordinates(path)
        np.testing.assert_allclose(
            table[[X, Y]], truth.loc[truth[MICROGRAPH] == Path(name).name, [X, Y]], atol=4e-4
        )
    # On the particles it is dark; where they would be upside down, or with x for y, it is not.
    image = read_image(name).data
    right = darkness(table, name)
    flipped = darkness(table.assign(**{Y: image.shape[0] - 1 - table[Y]}), name)
    swapped = darkness(table.rename(columns={X: Y, Y: X}), name)
    for wrong in (flipped, swapped):
        error = np.hypot(*(values.std() / np.sqrt(len(values)) for values in (right, wrong)))
        assert (right.mean() - wrong.mean()) / error < -10
