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
    with pytest.raises(AttributeError, match=r"its jobs are .*, autopick, .*extract"):
        boxwood.Project(project).autopik()
    with pytest.raises(InputError, match="cannot be used"):
        boxwood.Project(project / "micrographs.star").toy(micrographs="m.star")


@pytest.mark.parametrize("absolute", [True, False])
def test_what_a_job_returns_is_an_input_of_the_next(copy, monkeypatch, absolute):
    monkeypatch.chdir(copy.parent)
    project = boxwood.Project(copy if absolute else copy.name, threads=1)
    chosen = project.select_micrographs(micrographs="micrographs_ctf.star", first=2)
    again = project.select_micrographs(micrographs=chosen.files["micrographs"], first=1)
    assert len(again.tables["micrographs"]) == 1
    form = (again.output / "job.star").read_text()
    assert "Select/job004/micrographs_selected.star" in form and str(copy) not in form
