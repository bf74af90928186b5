"""Names of jobs and of the files in them, as RELION takes them apart."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from boxwood.project.names import below_job, canonical, job_folder


@pytest.mark.parametrize(
    ("path", "job", "below"),
    [
        ("MotionCorr/job002/Micrographs/a.mrc", "MotionCorr/job002/", "Micrographs/a.mrc"),
        ("Extract/job1007/particles.star", "Extract/job1007/", "particles.star"),
        ("AutoPick/job006", "AutoPick/job006/", "."),
        ("Micrographs/a.mrc", None, "Micrographs/a.mrc"),
        ("job002/a.mrc", None, "job002/a.mrc"),
        ("/data/session 1/a.mrc", None, "data/session 1/a.mrc"),
        ("../other/a.mrc", None, "other/a.mrc"),
        ("./MotionCorr//job002/a.mrc", "MotionCorr/job002/", "a.mrc"),
    ],
)
def test_paths_are_taken_apart(path, job, below):
    assert job_folder(path) == job
    assert str(below_job(path)) == below


def test_an_alias_stands_for_its_job(tmp_path):
    (tmp_path / "Select/job005").mkdir(parents=True)
    os.symlink("../Select/job005/", tmp_path / "Select/5mics")
    assert canonical("Select/5mics/micrographs.star", tmp_path) == "Select/job005/micrographs.star"
    assert below_job("Select/5mics/micrographs.star", tmp_path) == Path("micrographs.star")
    assert (
        canonical(tmp_path / "Select/job005/micrographs.star", tmp_path) == "Select/job005/micrographs.star"
    )


@given(st.lists(st.sampled_from(["..", ".", "a", "job001", "AutoPick", "b c", "/"]), min_size=1))
def test_files_always_stay_below_the_job(parts):
    below = below_job("/".join(parts))
    assert not below.is_absolute() and ".." not in below.parts
