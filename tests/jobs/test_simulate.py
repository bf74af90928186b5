"""The simulated project: files that readers accept, and truth that matches the pixels."""

import numpy as np
import pytest

from boxwood.errors import InputError
from boxwood.io.mrc import read_image
from boxwood.io.stacks import write_stack
from boxwood.io.star import read_star
from boxwood.jobs.simulate import simulate_project
from boxwood.simulate import beta_galactosidase
from boxwood.simulate.particles import apply_ctf
from boxwood.simulate.rotations import rotation_matrices

SMALL = {"micrographs": 3, "width": 300, "height": 260, "pixel_size": 4.0, "particles": 6, "threads": 2}


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    folder = tmp_path_factory.mktemp("simulated") / "project"
    return folder, simulate_project(folder, snr=20.0, **SMALL)


def test_micrographs_are_where_the_table_says(project):
    folder, _ = project
    tables = read_star(folder / "micrographs_ctf.star")
    assert list(tables) == ["optics", "micrographs"]
    assert list(tables["micrographs"]["rlnMicrographName"]) == [
        f"Micrographs/micrograph_{i:03d}.mrc" for i in (1, 2, 3)
    ]
    for name in tables["micrographs"]["rlnMicrographName"]:
        image = read_image(folder / name)
        assert image.data.shape == (260, 300)
        assert image.pixel_size_angstrom == pytest.approx(4.0)


def test_truth_tells_what_the_pixels_show(project):
    """At each place the micrograph is minus the projection in that orientation, under that CTF."""
    folder, result = project
    truth = read_star(folder / "truth.star")["particles"]
    assert len(truth) == 18 == result.values["particles"]
    box = 40  # fits into the margin that particles keep from the edges
    for name, rows in truth.groupby("rlnMicrographName"):
        image = read_image(folder / name).data
        places = rows[["rlnCoordinateX", "rlnCoordinateY"]].to_numpy()
        nearest = np.rint(places).astype(int)
        rotations = rotation_matrices(rows[["rlnAngleRot", "rlnAngleTilt", "rlnAnglePsi"]].to_numpy())
        expected = beta_galactosidase().project(rotations, box, 4.0, places - nearest)
        ctf = np.zeros((len(rows), 9))
        ctf[:, :3] = rows[["rlnDefocusU", "rlnDefocusV", "rlnDefocusAngle"]]
        ctf[:, 4:] = 200, 1.4, 0.1, 0, 1
        apply_ctf(expected, ctf, 4.0, backend="cpu", threads=1)
        for (x, y), wanted in zip(nearest, expected, strict=True):
            patch = image[y - box // 2 : y + box // 2, x - box // 2 : x + box // 2]
            assert np.corrcoef(-patch.ravel(), wanted.ravel())[0, 1] > 0.8


def test_ctf_columns_agree(project):
    folder, _ = project
    micrographs = read_star(folder / "micrographs_ctf.star")["micrographs"].set_index("rlnMicrographName")
    truth = read_star(folder / "truth.star")["particles"]
    defocus = micrographs.loc[truth["rlnMicrographName"], "rlnDefocusU"]
    np.testing.assert_array_equal(defocus, truth["rlnDefocusU"])
    assert micrographs["rlnDefocusU"].between(8000, 16000).all()
    astigmatism = micrographs["rlnDefocusU"] - micrographs["rlnDefocusV"]
    np.testing.assert_allclose(astigmatism, micrographs["rlnCtfAstigmatism"], atol=2e-6)


def test_equal_seeds_give_equal_files_whatever_the_threads(project, tmp_path):
    folder, _ = project
    simulate_project(tmp_path, snr=20.0, **{**SMALL, "threads": 1})
    name = "Micrographs/micrograph_002.mrc"
    np.testing.assert_array_equal(read_image(tmp_path / name).data, read_image(folder / name).data)
    assert (tmp_path / "truth.star").read_text() == (folder / "truth.star").read_text()


def test_a_map_can_be_the_particle(tmp_path):
    write_stack(tmp_path / "map.mrc", beta_galactosidase().density(32, 7.0), 7.0)
    result = simulate_project(
        tmp_path / "project", volume=tmp_path / "map.mrc", **{**SMALL, "micrographs": 1}
    )
    assert result.values["particles"] == 6


def test_a_project_that_is_there_is_not_replaced(project):
    folder, _ = project
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    with pytest.raises(
        InputError, match=r"micrographs_ctf\.star is there already; remove it, or name another folder"
    ):
        simulate_project(folder, snr=20.0, **{**SMALL, "seed": 5})
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before


def test_exchanged_defocus_is_refused(tmp_path):
    with pytest.raises(InputError, match="exchange them"):
        simulate_project(tmp_path, min_defocus=20000, max_defocus=10000)
