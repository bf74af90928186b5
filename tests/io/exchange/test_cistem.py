"""cisTEM's STAR files and databases: fixtures with its labels, and there and back."""

import sqlite3
from contextlib import closing

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from boxwood.errors import FileFormatError, InputError
from boxwood.io.exchange.cistem import read_cistem_particles, read_cistem_picks, write_cistem_particles
from boxwood.io.exchange.cistem_database import (
    read_cistem_database,
    read_cistem_micrographs,
    write_cistem_positions,
)
from boxwood.io.particles import ParticleSet

# The labels and their order are those of a file that cisTEM 2.0.0-alpha wrote.
LABELS = [
    "PositionInStack",
    "AnglePsi",
    "AngleTheta",
    "AnglePhi",
    "XShift",
    "YShift",
    "Defocus1",
    "Defocus2",
    "DefocusAngle",
    "PhaseShift",
    "ImageActivity",
    "Occupancy",
    "LogP",
    "Sigma",
    "Score",
    "ScoreChange",
    "PixelSize",
    "MicroscopeVoltagekV",
    "MicroscopeCsMM",
    "AmplitudeContrast",
    "BeamTiltX",
    "BeamTiltY",
    "ImageShiftX",
    "ImageShiftY",
    "Best2DClass",
    "BeamTiltGroup",
    "StackFilename",
    "OriginalImageFilename",
]
ROWS = (
    "1 30.5 0 0 2.5 -1.25 15000 14000 45 0.5 1 100 -500 1.5 12.5 0 1.25 300 2.7 0.07 0 0 0 0 3 1 'st.mrc' "
    "'a 1.mrc'",
    "7 -10 0 0 0 4 16000 15500 -20 0 1 100 -500 1.5 0.5 0 1.25 300 2.7 0.07 0 0 0 0 1 1 'st.mrc' 'b.mrc'",
)


def star(rows=ROWS, labels=LABELS):
    head = "".join(f"_cisTEM{name} #{number}\n" for number, name in enumerate(labels, 1))
    return "# Written by cisTEM Version 2.0.0\ndata_\n\nloop_\n" + head + "\n".join(rows) + "\n"


@pytest.fixture
def path(tmp_path):
    (tmp_path / "particles.star").write_text(star())
    return tmp_path / "particles.star"


def test_particles(path):
    foreign = read_cistem_particles(path)
    table, optics = foreign.particles.table, foreign.particles.optics
    assert table["rlnImageName"].tolist() == ["000001@st.mrc", "000007@st.mrc"]
    assert table["rlnMicrographName"].tolist() == ["a 1.mrc", "b.mrc"]
    assert table["rlnAnglePsi"].tolist() == [30.5, -10]
    # A shift says where the particle is, an origin what brings it back.
    assert table[["rlnOriginXAngst", "rlnOriginYAngst"]].to_numpy().tolist() == [[-2.5, 1.25], [0, -4]]
    assert table[["rlnDefocusU", "rlnDefocusV", "rlnDefocusAngle"]].to_numpy().tolist() == [
        [15000, 14000, 45],
        [16000, 15500, -20],
    ]
    np.testing.assert_allclose(table["rlnPhaseShift"], [np.degrees(0.5), 0])
    assert table["rlnClassNumber"].tolist() == [3, 1]
    assert optics.iloc[0].to_dict() == {
        "rlnOpticsGroupName": "opticsGroup1",
        "rlnOpticsGroup": 1,
        "rlnVoltage": 300,
        "rlnSphericalAberration": 2.7,
        "rlnAmplitudeContrast": 0.07,
        "rlnImagePixelSize": 1.25,
    }
    assert len(optics) == 1 and foreign.left_out == []


def test_the_stack_may_be_named(path):
    assert read_cistem_particles(path, "x.mrc").particles.table["rlnImageName"][0] == "000001@x.mrc"
    path.write_text(star([row.replace("'st.mrc'", "''") for row in ROWS]))
    with pytest.raises(InputError, match="name it with --stack"):
        read_cistem_particles(path)


def test_beam_tilt_is_told(path):
    path.write_text(star([ROWS[0].replace("0.07 0 0", "0.07 0.1 0")]))
    assert read_cistem_particles(path).left_out == ["BeamTiltX"]


def test_optics_groups_of_a_merged_file(path):
    path.write_text(
        star([ROWS[0], ROWS[1].replace("1.25 300", "1.5 200"), ROWS[0].replace("1 30.5", "2 30.5")])
    )
    particles = read_cistem_particles(path).particles
    assert particles.table["rlnOpticsGroup"].tolist() == [1, 2, 1]
    assert particles.optics["rlnImagePixelSize"].tolist() == [1.25, 1.5]


def test_positions_on_micrographs(path):
    labels = [*LABELS, "OriginalXPosition", "OriginalYPosition"]
    path.write_text(star([f"{row} {10 * i}.5 20" for i, row in enumerate(ROWS, 1)], labels))
    first, second = read_cistem_picks(path)
    assert (first.micrograph, first.unit_angstrom) == ("a 1.mrc", 1.0)
    assert second.table.to_numpy().tolist() == [[20.5, 20]]
    assert read_cistem_particles(path).particles.table["rlnCoordinateX"].tolist() == [10.5, 20.5]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (star([ROWS[0].replace("30.5", "nan")]), "row 1: cisTEMAnglePsi is nan"),
        (star(["1 2"], ["PositionInStack", "XShift"]), "no _cisTEMPixelSize"),
        ("data_\nloop_\n_rlnX\n1\n", "no table with labels of cisTEM"),
        (star([" ".join(ROWS[0].split()[:5])]), "line 33"),
    ],
)
def test_bad_particles(path, data, words):
    path.write_text(data)
    with pytest.raises(FileFormatError, match=words):
        read_cistem_particles(path)


def test_a_file_without_positions(path):
    with pytest.raises(FileFormatError, match="give the cisTEM project's database"):
        read_cistem_picks(path)


@given(data=st.data(), n=st.integers(1, 5))
def test_particles_there_and_back(tmp_path_factory, data, n):
    numbers = st.floats(-1e4, 1e4).map(lambda v: round(v, 3))
    columns = (
        "rlnAnglePsi",
        "rlnOriginXAngst",
        "rlnOriginYAngst",
        "rlnDefocusU",
        "rlnDefocusV",
        "rlnDefocusAngle",
    )
    table = pd.DataFrame({name: [data.draw(numbers) for _ in range(n)] for name in columns})
    table = table.assign(
        rlnImageName=[f"{i + 1:06d}@p.mrc" for i in range(n)],
        rlnMicrographName=[f"the ' mic é {i}.mrc" for i in range(n)],
        rlnPhaseShift=[data.draw(st.floats(0, 180)) for _ in range(n)],
        rlnOpticsGroup=1,
        rlnClassNumber=[data.draw(st.integers(1, 50)) for _ in range(n)],
    )
    optics = pd.DataFrame(
        {
            "rlnOpticsGroup": [1],
            "rlnImagePixelSize": [1.5],
            "rlnVoltage": [300.0],
            "rlnSphericalAberration": [2.7],
            "rlnAmplitudeContrast": [0.1],
        }
    )
    path = tmp_path_factory.mktemp("cistem") / "particles.star"
    write_cistem_particles(path, ParticleSet(optics, table), "p.mrc")
    again = read_cistem_particles(path).particles
    for name in ("rlnImageName", "rlnMicrographName", "rlnClassNumber"):
        assert again.table[name].tolist() == table[name].tolist()
    # Four decimals are written; the phase shift in radian.
    np.testing.assert_allclose(again.table[list(columns)], table[list(columns)], atol=6e-5)
    np.testing.assert_allclose(again.table["rlnPhaseShift"], table["rlnPhaseShift"], atol=np.degrees(6e-5))
    assert again.optics.iloc[0][list(optics)].tolist() == optics.iloc[0].tolist()


@pytest.fixture
def database(tmp_path):
    path = tmp_path / "my project.db"
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(
            "CREATE TABLE IMAGE_ASSETS (IMAGE_ASSET_ID INTEGER PRIMARY KEY, NAME TEXT, FILENAME TEXT)"
        )
        connection.execute(
            "CREATE TABLE PARTICLE_POSITION_ASSETS (PARTICLE_POSITION_ASSET_ID INTEGER PRIMARY KEY, "
            "PARENT_IMAGE_ASSET_ID INTEGER, PICKING_ID INTEGER, PICK_JOB_ID INTEGER, X_POSITION REAL, "
            "Y_POSITION REAL, PEAK_HEIGHT REAL)"
        )
        connection.executemany(
            "INSERT INTO IMAGE_ASSETS VALUES (?, ?, ?)", [(4, "a", "/data/a.mrc"), (9, "b", "/data/b.mrc")]
        )
        connection.executemany(
            "INSERT INTO PARTICLE_POSITION_ASSETS VALUES (?, ?, 1, 1, ?, ?, ?)",
            [(1, 9, 10.5, 20, 3), (2, 4, 1, 2, 4), (3, 9, 5, 6, 5)],
        )
    connection.close()
    return path


def test_a_database(database):
    first, second = read_cistem_database(database)
    assert (first.micrograph, second.micrograph) == ("/data/a.mrc", "/data/b.mrc")
    assert second.table.to_numpy().tolist() == [[10.5, 20, 3], [5, 6, 5]] and second.unit_angstrom == 1
    assert read_cistem_micrographs(database) == {"/data/a.mrc": 4, "/data/b.mrc": 9}


def test_bad_databases(database, tmp_path):
    before = database.read_bytes()
    (tmp_path / "torn.db").write_bytes(before[: len(before) // 3])
    (tmp_path / "text.db").write_text("no database at all, but long enough to be read as one" * 99)
    with closing(sqlite3.connect(tmp_path / "empty.db")):
        pass
    for name in ("torn.db", "text.db", "empty.db"):
        with pytest.raises(FileFormatError, match=r"is no database of a cisTEM project, or damaged \("):
            read_cistem_database(tmp_path / name)
    with pytest.raises(FileNotFoundError, match="there is no file"):
        read_cistem_database(tmp_path / "none.db")
    assert not (tmp_path / "none.db").exists()
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute(
            "UPDATE PARTICLE_POSITION_ASSETS SET X_POSITION = NULL WHERE PARENT_IMAGE_ASSET_ID = 9"
        )
    connection.close()
    with pytest.raises(FileFormatError, match="row 2: rlnCoordinateX is nan"):
        read_cistem_database(database)


def test_positions_to_import(tmp_path):
    table = pd.DataFrame({"rlnCoordinateX": [1.25, 3.0], "rlnCoordinateY": [2.0, 4.0]})
    write_cistem_positions(tmp_path / "c.txt", {9: table})
    assert (tmp_path / "c.txt").read_text() == "9 1.2500 2.0000\n9 3.0000 4.0000\n"
