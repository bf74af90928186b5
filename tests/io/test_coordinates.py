"""Coordinate files, and finding those of a picking job."""

import pandas as pd
import pytest

from boxwood.errors import FileFormatError, InputError
from boxwood.io.coordinates import (
    coordinate_files,
    coordinate_path,
    count_coordinates,
    read_coordinates,
    write_coordinate_list,
    write_coordinates,
    write_coords_suffix,
)
from boxwood.io.job_names import without_job
from boxwood.io.star import write_star

PICKS = pd.DataFrame(
    {
        "rlnCoordinateX": [1.5, 2.0],
        "rlnCoordinateY": [3.0, 4.25],
        "rlnAutopickFigureOfMerit": [0.5, 0.25],
        "rlnClassNumber": [0, 0],
        "rlnAnglePsi": [0.0, 0.0],
    }
)
NAMES = ["MotionCorr/job002/mics/a.mrc", "MotionCorr/job002/mics/b.mrc"]


def test_written_coordinates_are_read_back(tmp_path):
    write_coordinates(tmp_path / "a.star", PICKS)
    pd.testing.assert_frame_equal(read_coordinates(tmp_path / "a.star"), PICKS)
    assert "\ndata_\n\nloop_ \n_rlnCoordinateX #1 \n" in (tmp_path / "a.star").read_text()


TABLE = "data_\n\nloop_\n_rlnCoordinateX #1\n_rlnCoordinateY #2\n"


@pytest.mark.parametrize(
    ("name", "text", "count"),
    [
        ("a.star", TABLE + "1 2\n3 4\n \n", 2),
        ("a.star", TABLE + "1 2\n# 3 4\n5 6", 2),
        ("a.star", TABLE, 0),
        ("a.star", "", 0),
        ("a.star", "data_a\n\nloop_\n_x #1\n1\n2\n3\n\n" + TABLE + "1 2\n", 1),
        ("a.star", TABLE.replace("_rlnCoordinateY #2", "_rlnCoordinateY #2\n_word #3") + '1 2 "a b"\n', 1),
        ("a.star", "data_\n\n_rlnCoordinateX 3\n_rlnCoordinateY 4\n", None),
        ("a.box", "1 2 3 3\n4 5 3 3\n", 2),
        ("a.txt", "1 2\n3 4\n5 6\n", 3),
    ],
)
def test_counting_is_as_long_as_reading(tmp_path, name, text, count):
    path = tmp_path / name
    path.write_text(text)
    if count is None:
        with pytest.raises(FileFormatError):
            count_coordinates(path)
    else:
        assert count_coordinates(path) == len(read_coordinates(path)) == count


def test_no_particles_is_an_empty_file(tmp_path):
    write_coordinates(tmp_path / "a.star", PICKS[:0])
    assert (tmp_path / "a.star").read_bytes() == b""
    table = read_coordinates(tmp_path / "a.star")
    assert table.dtypes.to_dict() == {"rlnCoordinateX": "float64", "rlnCoordinateY": "float64"}
    assert len(table) == 0
    (tmp_path / "a.box").write_bytes(b"")
    assert len(read_coordinates(tmp_path / "a.box")) == 0


def test_box_files_hold_corners(tmp_path):
    (tmp_path / "a.box").write_text("10 20 100 60\n\n-5.5\t0\t100\t60\t-3\n")
    table = read_coordinates(tmp_path / "a.box")
    assert table.to_numpy().tolist() == [[60, 50], [44.5, 30]]


def test_plain_columns(tmp_path):
    (tmp_path / "a.txt").write_text("# x y\n10 20 0.5\n1.5,2\n")
    assert read_coordinates(tmp_path / "a.txt").to_numpy().tolist() == [[10, 20], [1.5, 2]]


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("a.box", b"10 20 30\n", "line 1: expected x, y, width and height"),
        ("a.box", b"10 20 30 40\nx 2 3 4\n", "line 2: expected x, y"),
        ("a.txt", b"10\n", "line 1: expected x and y"),
        ("a.txt", b"\xff\xfe", "not text"),
        (
            "a.star",
            b"data_\nloop_\n_rlnCoordinateX\n1\n",
            "no table with _rlnCoordinateX and",
        ),
    ],
)
def test_files_without_coordinates(tmp_path, name, data, words):
    (tmp_path / name).write_bytes(data)
    with pytest.raises(FileFormatError, match=words):
        read_coordinates(tmp_path / name)


@pytest.mark.parametrize(
    ("name", "rest"),
    [
        ("MotionCorr/job002/a/b.mrc", "a/b.mrc"),
        ("Import/job1234/b.mrc", "b.mrc"),
        ("a/b.mrc", "a/b.mrc"),
        ("x/MotionCorr/job002/b.mrc", "x/MotionCorr/job002/b.mrc"),
        ("MotionCorr/jobs/b.mrc", "MotionCorr/jobs/b.mrc"),
    ],
)
def test_names_without_their_job(name, rest):
    assert without_job(name) == rest


@pytest.fixture
def project(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    job = "AutoPick/job006"
    for name in NAMES:
        write_coordinates(coordinate_path(job, name, "autopick"), PICKS)
    table = pd.DataFrame({"rlnMicrographName": [*NAMES, "MotionCorr/job002/mics/none.mrc"]})
    write_star("micrographs.star", {"micrographs": table})
    return tmp_path


def test_relion_5_job(project):
    files = {name: coordinate_path("AutoPick/job006", name, "autopick") for name in NAMES}
    write_coordinate_list("AutoPick/job006/autopick.star", {**files, "gone.mrc": "gone_autopick.star"})
    for source in ("AutoPick/job006", "AutoPick/job006/autopick.star"):
        found = coordinate_files(source)
        assert list(found) == NAMES
        assert all(len(read_coordinates(path)) == 2 for path in found.values())
    (project / "AutoPick").rename(project / "moved")  # the list's own folder is looked into as well
    assert list(coordinate_files("moved/job006")) == NAMES


def test_relion_3_job(project, tmp_path_factory, monkeypatch):
    write_coords_suffix("AutoPick/job006", "autopick", "micrographs.star")
    assert (project / "AutoPick/job006/coords_suffix_autopick.star").read_text() == "micrographs.star\n"
    assert list(coordinate_files("AutoPick/job006")) == NAMES
    source = project / "AutoPick/job006/coords_suffix_autopick.star"
    assert list(coordinate_files(source, micrographs=NAMES[1:])) == NAMES[1:]
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    assert list(coordinate_files(source)) == NAMES
    assert list(coordinate_files(source, root=project)) == NAMES


def test_sources_that_lead_nowhere(project):
    with pytest.raises(InputError, match="give a picking job's folder"):
        coordinate_files("AutoPick")
    with pytest.raises(FileFormatError, match="data_coordinate_files is needed"):
        coordinate_files("micrographs.star")
    write_coords_suffix("AutoPick/job006", "autopick", "gone.star")
    with pytest.raises(FileFormatError, match=r"names gone\.star, which is not there"):
        coordinate_files("AutoPick/job006")
    (project / "AutoPick/job006/coords_suffix_autopick.star").write_text("")
    with pytest.raises(FileFormatError, match="is empty"):
        coordinate_files("AutoPick/job006")


def test_real_jobs(shared_data):
    for project, job, count in (
        ("formats/relion31_project", "AutoPick/job006", 5),
        ("bgal10204", "AutoPick/job008_relion5", 10),
    ):
        found = coordinate_files(shared_data / project / job, root=shared_data / project)
        assert len(found) == count
        assert all(len(read_coordinates(path)) > 200 for path in found.values())
    for path in (shared_data / "formats" / "eman_box").iterdir():
        assert read_coordinates(path).to_numpy().min() > 0
