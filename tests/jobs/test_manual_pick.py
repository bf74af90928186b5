"""Coordinates from elsewhere become a ManualPick job."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from boxwood.errors import InputError
from boxwood.io.coordinates import coordinate_files, read_coordinates
from boxwood.io.star import read_star, write_star
from boxwood.jobs.api import Project

COLUMNS = ["rlnCoordinateX", "rlnCoordinateY"]


@pytest.fixture
def project(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = [f"MotionCorr/job002/Movies/m{n}.mrc" for n in (1, 2, 3)]
    optics = {"rlnOpticsGroupName": ["opticsGroup1"], "rlnOpticsGroup": [1], "rlnMicrographPixelSize": [0.9]}
    tables = {
        "optics": pd.DataFrame(optics),
        "micrographs": pd.DataFrame({"rlnMicrographName": names, "rlnOpticsGroup": 1}),
    }
    write_star("mics.star", tables)
    (tmp_path / "picks").mkdir()
    (tmp_path / "picks" / "m1.box").write_text("10 20 100 100\n30.5 40 100 100\n")
    star = pd.DataFrame([[5.0, 6.0, 0.4]], columns=[*COLUMNS, "rlnAutopickFigureOfMerit"])
    write_star("picks/m3_autopick.star", {"": star})
    return Project()


def test_files_named_like_micrographs(project):
    result = project.manual_pick(micrographs="mics.star", coordinates="picks")
    job = "ManualPick/job001"
    assert result.output.as_posix() == job and result.values == {"picks": 3, "micrographs": 2}
    first = read_coordinates(f"{job}/Movies/m1_manualpick.star")
    np.testing.assert_array_equal(first[COLUMNS], [[60, 70], [80.5, 90]])
    assert list(first.columns) == [*COLUMNS, "rlnClassNumber", "rlnAnglePsi", "rlnAutopickFigureOfMerit"]
    assert (first[["rlnClassNumber", "rlnAnglePsi", "rlnAutopickFigureOfMerit"]] == -999).all(axis=None)
    assert read_coordinates(f"{job}/Movies/m3_manualpick.star")["rlnAutopickFigureOfMerit"].tolist() == [0.4]
    assert Path(job, "coords_suffix_manualpick.star").read_text() == "mics.star\n"
    listed = read_star(f"{job}/manualpick.star")["coordinate_files"]["rlnMicrographCoordinates"]
    assert list(listed) == [f"{job}/Movies/m{n}_manualpick.star" for n in (1, 3)]
    assert len(read_star(f"{job}/micrographs_selected.star")["micrographs"]) == 3
    assert set(coordinate_files(job)) == {f"MotionCorr/job002/Movies/m{n}.mrc" for n in (1, 3)}


def test_job_of_another_kind_and_the_tutorials_step_5(project):
    project.manual_pick(micrographs="mics.star", coordinates="picks")
    again = project.manual_pick(micrographs="mics.star", coordinates="ManualPick/job001")
    assert again.values["picks"] == 3
    chosen = project.select_micrographs(
        micrographs="ManualPick/job002/coords_suffix_manualpick.star", first=2
    )
    assert chosen.files["micrographs"].as_posix() == "Select/job003/micrographs_selected.star"
    assert len(chosen.tables["micrographs"]) == 2


def test_none_yet(project):
    result = project.manual_pick(micrographs="mics.star")
    assert result.values["picks"] == 0
    assert len(read_star(result.files["micrographs"])["micrographs"]) == 3


def test_refusals(project, tmp_path):
    with pytest.raises(InputError, match="there is no nowhere"):
        project.manual_pick(micrographs="mics.star", coordinates="nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="for example m1"):
        project.manual_pick(micrographs="mics.star", coordinates="empty")
    (tmp_path / "picks" / "m1.star").write_text("")
    with pytest.raises(InputError, match="both called like"):
        project.manual_pick(micrographs="mics.star", coordinates="picks")
