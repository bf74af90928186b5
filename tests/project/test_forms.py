"""RELION's forms: the fields of each RELION, and what its window was last told."""

import pytest

from boxwood.io.star import read_star
from boxwood.project.folder import ProjectFolder
from boxwood.project.form_fields import FORMS, filled_form, form_fields
from boxwood.project.job_form import JobForm, JobType, write_job_star

PICK = JobType("AutoPick", 4, "relion.autopick.log")
HEAD = {
    "3.0": "\ndata_pipeline_general\n\n_rlnPipeLineJobCounter 1\n",
    "3.1": "\n# version 30001\n\ndata_pipeline_general\n\n_rlnPipeLineJobCounter 1\n",
    "5": "\n# version 50001\n\ndata_pipeline_general\n\n_rlnPipeLineJobCounter 1\n"
    "\n# version 50001\n\ndata_pipeline_processes\n\nloop_\n_rlnPipeLineProcessName #1\n"
    "_rlnPipeLineProcessAlias #2\n_rlnPipeLineProcessTypeLabel #3\n_rlnPipeLineProcessStatusLabel #4\n"
    "Import/job000/ None relion.import.movies Succeeded\n",
}


@pytest.mark.data
@pytest.mark.parametrize(
    ("number", "file"),
    [
        (3, "ManualPick/job006/job.star"),
        (4, ".gui_autopickjob.star"),
        (5, "Extract/job009/job.star"),
        (7, "Select/job007/job.star"),
        (8, "Class2D/job010/job.star"),
    ],
)
def test_fields_of_relion5_are_those_of_a_real_project(shared_data, number, file):
    theirs = JobForm.read(shared_data / "formats/relion5_project" / file).joboptions
    assert set(filled_form(number, "5", {})) == set(theirs)


@pytest.mark.data
@pytest.mark.parametrize(
    "file",
    [
        ".gui_autopickjob.star",
        ".gui_extractjob.star",
        "ManualPick/job006/job.star",
        "Select/job007/job.star",
        "Class2D/job010/job.star",
    ],
)
def test_real_forms_are_written_back_byte_for_byte(shared_data, tmp_path, file):
    path = shared_data / "formats/relion5_project" / file
    form = JobForm.read(path)
    kind = JobType("", form.number, read_star(path)["job"]["rlnJobTypeLabel"])
    write_job_star(tmp_path / "job.star", kind, form.joboptions, relion="5", continuing=form.continuing)
    assert (tmp_path / "job.star").read_bytes() == path.read_bytes()


@pytest.mark.parametrize("number", FORMS)
def test_what_a_form_does_not_have_is_left_out(number):
    given = dict.fromkeys(form_fields(number), "x")
    for relion in "015":
        form = filled_form(number, relion, {**given, "no_such_field": "y"})
        assert set(form.values()) == {"x"} and "no_such_field" not in form
        assert set(form) <= set(form_fields(number))


def test_the_environment_decides_about_the_queue(monkeypatch):
    monkeypatch.setenv("RELION_QSUB_TEMPLATE", "/sw/relion/submit.sh")
    monkeypatch.setenv("RELION_QUEUE_NAME", "gpu")
    form = filled_form(4, "1", {"queuename": "long"})
    assert form["qsubscript"] == "/sw/relion/submit.sh" and form["queuename"] == "long"


@pytest.mark.parametrize(
    ("relion", "window"),
    [("3.0", ".gui_autopickrun.job"), ("3.1", ".gui_autopickjob.star"), ("5", ".gui_autopickjob.star")],
)
def test_the_window_is_told_in_its_own_file(tmp_path, relion, window):
    (tmp_path / "default_pipeline.star").write_text(HEAD[relion])
    project = ProjectFolder(tmp_path)
    name = project.start_job(PICK, joboptions={"log_diam_min": "99", "do_log": "Yes"}, inputs=[])
    assert [path.name for path in tmp_path.glob(".gui*")] == [window]
    told, job = JobForm.read(tmp_path / window), JobForm.read(tmp_path / name)
    assert told.joboptions == job.joboptions and told.joboptions["log_diam_min"] == "99"
    assert (tmp_path / name / "run.job").exists() == (relion == "3.0")
    version = {"3.0": [], "3.1": ["# version 30001"], "5": ["# version 50001"]}[relion]
    lines = (tmp_path / "default_pipeline.star").read_text().splitlines()
    assert sorted({line for line in lines if line.startswith("# version")}) == version
    assert len(told.joboptions) == len(filled_form(4, {"3.0": "0", "3.1": "1", "5": "5"}[relion], {}))


def test_a_damaged_file_of_the_window_is_replaced(tmp_path):
    (tmp_path / ".gui_autopickjob.star").write_text("loop_ data_")
    ProjectFolder(tmp_path).start_job(PICK, joboptions={"do_log": "Yes"}, inputs=[])
    assert JobForm.read(tmp_path / ".gui_autopickjob.star").joboptions["do_log"] == "Yes"
