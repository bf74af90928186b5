"""The project as a Python object."""

import inspect

import pytest

import boxwood
from boxwood.errors import InputError


def test_jobs_are_methods_with_their_options_as_signature(project, toy):
    method = boxwood.Project(project).toy
    assert list(inspect.signature(method).parameters) == [
        "micrographs", "coordinates", "resolution", "stop", "fail", "crash"
    ]  # fmt: skip
    assert "resolution : a number above 0 Å" in method.__doc__
    assert "toy" in dir(boxwood.Project(project))


def test_a_method_runs_the_job(project, toy, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = boxwood.Project("my projéct 1", threads=1).toy(
        micrographs="micrographs.star", alias="from_python"
    )
    assert (result.output / "RELION_JOB_EXIT_SUCCESS").exists()
    assert (project / "AutoPick/from_python/job.star").exists()


def test_unknown_jobs_and_files_as_projects_are_refused(project, toy):
    with pytest.raises(AttributeError, match=r"its jobs are .*, autopick, extract"):
        boxwood.Project(project).autopik()
    with pytest.raises(InputError, match="cannot be used"):
        boxwood.Project(project / "micrographs.star").toy(micrographs="m.star")
