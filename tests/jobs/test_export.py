"""What is exported is what each program documents, and comes back as it was."""

import os
import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from boxwood.errors import InputError
from boxwood.io.coordinates import (
    coordinate_files,
    coordinate_path,
    read_coordinates,
    write_coordinates,
    write_coords_suffix,
)
from boxwood.io.mrc import read_stack, write_stack
from boxwood.io.particles import ParticleSet
from boxwood.io.star import write_star
from boxwood.jobs.api import Project

PIXEL, SHAPE = 1.25, (96, 144)  # rows, columns
NAMES = ["MotionCorr/job002/Movies/mic 1.mrc", "MotionCorr/job002/Movies/é2.mrc"]
X, Y, FOM = "rlnCoordinateX", "rlnCoordinateY", "rlnAutopickFigureOfMerit"


@pytest.fixture
def project(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    for name in NAMES:
        write_stack(name, np.zeros(SHAPE, np.float32), PIXEL)
        places = rng.uniform(5, 90, (6, 2)).round(3)
        table = pd.DataFrame(places, columns=[X, Y]).assign(**{FOM: rng.uniform(0, 1, 6).round(3)})
        path = coordinate_path("AutoPick/job006", name, "autopick")
        path.parent.mkdir(parents=True, exist_ok=True)
        write_coordinates(path, table)
    optics = {
        "rlnOpticsGroupName": ["o"],
        "rlnOpticsGroup": [1],
        "rlnMicrographPixelSize": [PIXEL],
        "rlnVoltage": [300.0],
        "rlnSphericalAberration": [2.7],
        "rlnAmplitudeContrast": [0.1],
    }
    table = pd.DataFrame(
        {"rlnMicrographName": NAMES, "rlnOpticsGroup": 1, "rlnDefocusU": 15000.0, "rlnDefocusV": 14000.0,
         "rlnDefocusAngle": 30.0}
    )  # fmt: skip
    write_star("micrographs.star", {"optics": pd.DataFrame(optics), "micrographs": table})
    write_coords_suffix("AutoPick/job006", "autopick", "micrographs.star")
    return Project()


@pytest.fixture
def database(tmp_path):
    with closing(sqlite3.connect(tmp_path / "cistem.db")) as connection, connection:
        connection.execute("CREATE TABLE IMAGE_ASSETS (IMAGE_ASSET_ID INTEGER, NAME TEXT)")
        connection.executemany(
            "INSERT INTO IMAGE_ASSETS VALUES (?, ?)", [(7, "é2"), (5, "mic 1"), (9, "other")]
        )
    connection.close()
    return "cistem.db"


PICKS = {"coordinates": "AutoPick/job006", "micrographs": "micrographs.star"}


def picks(job="AutoPick/job006"):
    files = coordinate_files(job, micrographs=NAMES)
    return {name: read_coordinates(files[name]) for name in NAMES}


@pytest.mark.parametrize(
    ("to", "options", "back"),
    [
        ("eman", {"box_size": 32}, {}),
        ("eman", {"box_size": 16, "binning": 2, "averaged": True}, {"binning": 2, "averaged": True}),
        ("cbox", {"box_size": 33}, {}),
        ("cbox", {"box_size": 32, "flip_y": True}, {"flip_y": True}),
        ("text", {}, {}),
        (
            "text",
            {"coordinate_pixel_size": 5.0, "flip_y": True},
            {"coordinate_pixel_size": 5.0, "flip_y": True},
        ),
        ("topaz", {"binning": 8}, {"binning": 8}),
        ("cryosparc", {}, {}),
        ("cryosparc", {"flip_y": True}, {"flip_y": True}),
    ],
)
def test_picks_there_and_back(project, to, options, back):
    exported = project.export(directory="out", to=to, **PICKS, **options)
    assert exported.values == {"picks": 12, "micrographs": 2}
    files = ["out/picked_particles.cs"] if to == "cryosparc" else ["out"]
    result = project.import_(files=files, micrographs="micrographs.star", **back)
    found, before = picks(result.output), picks()
    # Text has four decimals, of a reduced micrograph; fractions are float32.
    tolerance = 6e-5 * {"topaz": 8, "text": 4, "eman": 2}.get(to, 1)
    for name in NAMES:
        np.testing.assert_allclose(found[name][[X, Y]], before[name][[X, Y]], atol=tolerance)
        if to != "eman":
            np.testing.assert_allclose(found[name][FOM], before[name][FOM], atol=6e-5)


def test_boxes_are_emans(project):
    project.export(directory="out", to="eman", box_size=32, **PICKS)
    assert sorted(path.name for path in Path("out").glob("[!.]*")) == ["mic 1.box", "é2.box"]
    first = [float(word) for word in Path("out/mic 1.box").read_text().split("\n")[0].split("\t")]
    x, y = picks()[NAMES[0]][[X, Y]].iloc[0]
    np.testing.assert_allclose(first, [x - 16, y - 16, 32, 32], atol=6e-5)


def test_picks_by_hand_have_no_score(project):
    for path in Path("AutoPick/job006/Movies").glob("*_autopick.star"):
        write_coordinates(path, read_coordinates(path).assign(**{FOM: -999.0}))
    project.export(directory="out", to="text", **PICKS)
    assert list(pd.read_csv("out/coordinates.csv")) == ["micrograph", "x", "y"]


def test_positions_for_cistem(project, database):
    project.export(directory="out", to="cistem", database=database, **PICKS)
    rows = np.loadtxt("out/coordinates.txt")
    table = pd.concat([picks()[name] for name in NAMES])
    assert rows[:, 0].tolist() == [5] * 6 + [7] * 6  # cisTEM's numbers of the micrographs
    np.testing.assert_allclose(rows[:, 1:], table[[X, Y]] * PIXEL, atol=6e-5)


def test_cryosparc_knows_its_own_micrographs(project):
    rows = np.zeros(
        2,
        [("uid", "<u8"), ("micrograph_blob/path", "S60"), ("micrograph_blob/shape", "<u4", (2,)),
         ("micrograph_blob/psize_A", "<f4"), ("mscope_params/exp_group_id", "<u4")],
    )  # fmt: skip
    rows["uid"] = [2**64 - 9, 12]
    rows["micrograph_blob/path"] = ["J1/imported/123456789012345678_é2.mrc".encode(), b"J1/imported/x.mrc"]
    rows["micrograph_blob/shape"] = [SHAPE[0] // 2, SHAPE[1] // 2]  # reduced there
    rows["micrograph_blob/psize_A"], rows["mscope_params/exp_group_id"] = 2 * PIXEL, 3
    np.save("exposures.npy", rows)
    result = project.export(directory="out", to="cryosparc", exposures="exposures.npy", **PICKS)
    written = np.load("out/picked_particles.cs", allow_pickle=False)
    assert result.bad == ((NAMES[0], "it is not among the exposures of exposures.npy"),)
    assert set(written["location/micrograph_uid"].tolist()) == {2**64 - 9}
    assert set(written["location/micrograph_path"]) == {"J1/imported/123456789012345678_é2.mrc".encode()}
    assert written["location/micrograph_shape"].tolist() == [[48, 72]] * 6
    before = picks()[NAMES[1]]
    np.testing.assert_allclose(written["location/center_x_frac"], before[X] / SHAPE[1], rtol=1e-6)
    np.testing.assert_allclose(written["location/center_y_frac"], before[Y] / SHAPE[0], rtol=1e-6)
    assert "type: particle.location" in Path("out/picked_particles.csg").read_text()


@pytest.fixture
def particles(project):
    """Extracted particles with alignments, as of a 2D classification."""
    for name in NAMES:
        noise = np.random.default_rng(len(name)).standard_normal(SHAPE)
        write_stack(name, noise.astype(np.float32), PIXEL)
    extracted = project.extract(
        micrographs="micrographs.star", coordinates="AutoPick/job006", box_size=16, rescale=8
    )
    found = ParticleSet.read(extracted.files["particles"])
    rng, n = np.random.default_rng(1), len(found)
    found.table = found.table.assign(
        rlnAnglePsi=rng.uniform(-180, 180, n).round(4),
        rlnOriginXAngst=rng.uniform(-9, 9, n).round(4),
        rlnOriginYAngst=rng.uniform(-9, 9, n).round(4),
        rlnClassNumber=rng.integers(1, 5, n),
    )
    found.write("particles.star")
    return found


SAME = [
    *(X, Y, "rlnAnglePsi", "rlnOriginXAngst", "rlnOriginYAngst", "rlnClassNumber"),
    *("rlnDefocusU", "rlnDefocusV", "rlnDefocusAngle"),
]


def test_particles_to_cryosparc_and_back(project, particles):
    result = project.export(
        directory="out", to="cryosparc", particles="particles.star", micrographs="micrographs.star"
    )
    assert result.values["particles"] == len(particles)
    written = np.load("out/particles.cs", allow_pickle=False)
    stack = Path("out", written["blob/path"][0].decode().removeprefix(">"))
    assert stack.suffix == ".mrc" and stack.is_symlink()
    np.testing.assert_array_equal(
        read_stack(stack)[int(written["blob/idx"][0])], particles.images().read([0])[0]
    )
    back = project.import_(files=["out/particles.cs"], micrographs="micrographs.star", contrast="bright")
    table = back.tables["particles"]
    # float32 holds 24 bits; coordinates are fractions of 144 pixels and less.
    np.testing.assert_allclose(
        table[SAME].astype(float), particles.table[SAME].astype(float), rtol=2e-7, atol=2e-5
    )
    assert table["rlnMicrographName"].tolist() == particles.table["rlnMicrographName"].tolist()
    again = ParticleSet.read(back.files["particles"])
    np.testing.assert_array_equal(again.images().read(slice(None)), particles.images().read(slice(None)))
    assert again.optics["rlnImagePixelSize"].tolist() == particles.optics["rlnImagePixelSize"].tolist()


def test_cryosparc_particles_to_relion_and_back(project, particles):
    """The second dataset is the first, with its uids, which only text and not a float could carry."""
    options = {"to": "cryosparc", "micrographs": "micrographs.star"}
    project.export(directory="one", particles="particles.star", **options)
    first = np.load("one/particles.cs", allow_pickle=False)
    back = project.import_(files=["one/particles.cs"], micrographs="micrographs.star", contrast="bright")
    project.export(directory="two", particles=back.files["particles"], **options)
    second = np.load("two/particles.cs", allow_pickle=False)
    assert second["uid"].max() > 2**53 and second.dtype.names == first.dtype.names
    for name in first.dtype.names:
        if name == "blob/path":
            continue  # links to links
        if first[name].dtype.kind == "f":
            # STAR files have six decimals: of Angstrom, degree and pixels.
            np.testing.assert_allclose(second[name], first[name], rtol=1e-6, atol=2e-6, err_msg=name)
        else:
            np.testing.assert_array_equal(second[name], first[name], err_msg=name)
    for a, b in zip(first["blob/path"], second["blob/path"], strict=True):
        one, two = (Path(d, p.decode()[1:]) for d, p in (("one", a), ("two", b)))
        assert os.path.samefile(one, two)


def test_upside_down_twice_is_as_it_was(project, particles):
    options = {"flip_y": True, "micrographs": "micrographs.star"}
    project.export(directory="out", to="cryosparc", particles="particles.star", **options)
    turned = np.load("out/particles.cs", allow_pickle=False)
    np.testing.assert_allclose(
        turned["location/center_y_frac"], (SHAPE[0] - 1 - particles.table[Y]) / SHAPE[0], rtol=1e-6
    )
    back = project.import_(files=["out/particles.cs"], contrast="bright", **options)
    table = back.tables["particles"]
    np.testing.assert_allclose(
        table[SAME].astype(float), particles.table[SAME].astype(float), rtol=2e-7, atol=2e-5
    )
    images = ParticleSet.read(back.files["particles"]).images().read(slice(None))
    np.testing.assert_array_equal(images, particles.images().read(slice(None)))


def test_particles_to_cistem_and_back(project, particles):
    project.export(directory="out", to="cistem", particles="particles.star")
    back = project.import_(files=["out/particles.star"], contrast="bright", root="out")
    same = [label for label in SAME if label not in (X, Y)]  # cisTEM's file does not have places
    np.testing.assert_allclose(
        back.tables["particles"][same].astype(float), particles.table[same].astype(float), atol=6e-5
    )
    images = ParticleSet.read(back.files["particles"]).images().read(slice(None))
    np.testing.assert_array_equal(images, particles.images().read(slice(None)))


def test_places_of_particles(project, particles):
    """With their offsets: a particle is at its coordinate minus its offset."""
    options = {"particles": "particles.star", "micrographs": "micrographs.star"}
    project.export(directory="out", to="text", recenter=True, **options)
    found = pd.read_csv("out/coordinates.csv")
    wanted = particles.table[X] - particles.table["rlnOriginXAngst"] / PIXEL
    np.testing.assert_allclose(found["x"], wanted, atol=6e-5)
    assert found["micrograph"].tolist() == particles.table["rlnMicrographName"].tolist()
    project.export(directory="sparc", to="cryosparc", only_coordinates=True, **options)
    assert "blob/path" not in np.load("sparc/picked_particles.cs").dtype.names


def test_class_averages(project):
    averages = np.random.default_rng(0).standard_normal((4, 16, 16)).astype(np.float32)
    write_stack("Class2D/job009/run_it025_classes.mrcs", averages, 2.5)
    names = [f"{n:06d}@Class2D/job009/run_it025_classes.mrcs" for n in (3, 1)]
    table = pd.DataFrame({"rlnReferenceImage": names, "rlnClassNumber": [3, 1]})
    write_star("class_averages.star", {"": table})
    for to in ("cryosparc", "cistem"):
        project.export(directory=to, to=to, class_averages="class_averages.star")
        np.testing.assert_array_equal(read_stack(f"{to}/class_averages.mrc")[:], averages[[2, 0]])
    assert not Path("cistem/class_averages.cs").exists()
    back = project.import_(files=["cryosparc/class_averages.cs"], contrast="bright")
    np.testing.assert_array_equal(read_stack(back.files["templates"])[:], averages[[2, 0]])
    assert read_stack(back.files["templates"]).pixel_size_angstrom == pytest.approx(2.5)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"to": "eman", **PICKS}, "give their size with --box-size"),
        ({"to": "text"}, "nothing was given; give one of --coordinates, --particles, --class-averages"),
        ({"to": "text", "coordinates": "AutoPick/job006"}, "give their STAR file with --micrographs"),
        ({"to": "text", "class_averages": "micrographs.star"}, "no form for class averages"),
        ({"to": "cryosparc", "binning": 2, **PICKS}, "does not count in pixels"),
        ({"to": "cistem", **PICKS}, "give the database of its project"),
        ({"to": "text", "recenter": True, **PICKS}, "picks have none"),
        ({"to": "cistem", "recenter": True, "particles": "p.star"}, "images do not follow"),
        ({"to": "cryosparc", "class_averages": "micrographs.star"}, "no table with _rlnReferenceImage"),
        ({"to": "text", "particles": "micrographs.star"}, "no table with a column _rlnImageName"),
    ],
)
def test_refusals(project, options, words):
    with pytest.raises(InputError, match=words):
        project.export(directory="out", **options)


def test_micrographs_called_alike(project):
    table = pd.DataFrame({X: [1.0], Y: [2.0]})
    names = ["a/m.mrc", "b/m.mrc"]
    for name in names:
        path = coordinate_path("ManualPick/job001", name, "manualpick")
        path.parent.mkdir(parents=True, exist_ok=True)
        write_coordinates(path, table)
    write_star("two.star", {"micrographs": pd.DataFrame({"rlnMicrographName": names, "rlnOpticsGroup": 1})})
    write_coords_suffix("ManualPick/job001", "manualpick", "two.star")
    with pytest.raises(InputError, match=r"a/m.mrc and b/m.mrc would both"):
        project.export(
            directory="out", to="eman", box_size=8, coordinates="ManualPick/job001", micrographs="two.star"
        )
