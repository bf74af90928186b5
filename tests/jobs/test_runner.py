"""A job in a project: its folder, its books, and every way it can end."""

import operator
import os
import signal
import time
from dataclasses import replace
from pathlib import Path

import pytest
from toy import write_micrographs

import boxwood.project.folder
import boxwood.project.job_files
import boxwood.project.pipeline
from boxwood.errors import InputError, JobAborted, JobError
from boxwood.io.star import read_star
from boxwood.jobs.context import JobContext
from boxwood.jobs.runner import run_job
from boxwood.project.folder import ProjectFolder
from boxwood.project.pipeline import Pipeline

OPTIONS = {"micrographs": "micrographs.star"}


class Recorder:
    def __init__(self):
        self.events = []

    def event(self, kind, **data):
        self.events.append((kind, data))

    def of(self, kind):
        return [data for k, data in self.events if k == kind]


def status(name):
    return Pipeline.read("default_pipeline.star").process(name)["rlnPipeLineProcessStatus"]


def test_a_new_project_gets_relions_files(project, toy):
    result = run_job(toy, OPTIONS, alias="first try")
    assert result.output == Path("AutoPick/job001")
    names = {path.name for path in result.output.iterdir()}
    assert names >= {"job.star", "note.txt", "run.out", "run.err", "RELION_JOB_EXIT_SUCCESS"}
    assert names >= {"job_pipeline.star", "default_pipeline.star", "Micrographs"}
    assert os.readlink("AutoPick/first_try") == "../AutoPick/job001/"
    assert Path(".Nodes/2/AutoPick/first_try/coords_suffix_autopick.star").exists()
    assert not Path(".relion_lock").exists()
    assert status("AutoPick/job001/") == 2
    assert result.tables["sizes"]["size"].tolist() == [17, 17, 17]


def test_job_star_and_note_say_what_was_run(project, toy):
    result = run_job(toy, {**OPTIONS, "resolution": 12.5})
    tables = read_star(result.output / "job.star")
    values = tables["joboptions_values"]
    found = dict(zip(values["rlnJobOptionVariable"], values["rlnJobOptionValue"], strict=True))
    assert tables["job"] == {"rlnJobType": 4, "rlnJobIsContinue": 0}
    assert found["log_maxres"] == "12.5" and found["do_log"] == "Yes"
    assert found["fn_input_autopick"] == "micrographs.star"
    assert list(found) == sorted(found)
    note = (result.output / "note.txt").read_text()
    assert "boxwood toy --micrographs micrographs.star --resolution 12.5\n" in note


def test_jobs_are_numbered_on_and_linked_by_their_files(project, toy):
    run_job(toy, OPTIONS)
    second = run_job(toy, OPTIONS)
    assert second.output.name == "job002"
    pipeline = Pipeline.read("default_pipeline.star")
    assert pipeline.counter == 3
    assert pipeline.tables["pipeline_input_edges"].values.tolist() == [
        ["micrographs.star", "AutoPick/job001/"],
        ["micrographs.star", "AutoPick/job002/"],
    ]
    assert pipeline.tables["pipeline_nodes"]["rlnPipeLineNodeName"].tolist() == [
        "micrographs.star",
        "AutoPick/job001/coords_suffix_autopick.star",
        "AutoPick/job002/coords_suffix_autopick.star",
    ]


def test_a_job_as_input_is_recorded_as_its_file(project, toy):
    picks = run_job(toy, OPTIONS)
    second = run_job(toy, {**OPTIONS, "coordinates": picks.output})
    file = "AutoPick/job001/coords_suffix_autopick.star"
    values = read_star(second.output / "job.star")["joboptions_values"]
    assert file in values["rlnJobOptionValue"].tolist()
    edges = Pipeline.read("default_pipeline.star").tables["pipeline_input_edges"]
    assert edges.values.tolist()[-1] == [file, "AutoPick/job002/"]


def test_output_gets_just_the_files_and_their_record(project, toy):
    result = run_job(toy, OPTIONS, output="some where")
    assert {p.name for p in result.output.iterdir()} == {
        "Micrographs",
        "coords_suffix_autopick.star",
        ".boxwood.json",
    }
    assert not Path("default_pipeline.star").exists()


def test_a_bad_micrograph_is_named_and_the_others_go_on(project, toy):
    write_micrographs(project, ["a.mrc", "broken.mrc", "strange.mrc", "d.mrc"])
    recorder = Recorder()
    result = run_job(toy, OPTIONS, reporter=recorder)
    assert result.bad == (("broken.mrc", "it is cut off"), ("strange.mrc", "KeyError: 'strange.mrc'"))
    assert result.tables["sizes"]["name"].tolist() == ["a.mrc", "d.mrc"]
    assert "2 inputs left out: broken.mrc (it is cut off)" in recorder.of("warning")[-1]["text"]
    errors = (result.output / "run.err").read_text()
    assert "raise KeyError(name)" in errors  # what nobody foresaw is shown with its place
    assert recorder.of("progress")[-1] == {"done": 4, "total": 4, "text": "micrographs"}


@pytest.mark.parametrize("threads", [1, 3])
def test_micrographs_that_would_share_an_output_are_named(project, toy, threads, monkeypatch):
    write_micrographs(project, ["a.mrc", "MotionCorr/job002/a.mrc", "MotionCorr/job003/b.mrc"])
    ask = JobContext.output_path

    def ask_late(context, source, suffix):
        time.sleep(0.05 * (threads > 1 and source == "a.mrc"))  # in threads the second is there first
        return ask(context, source, suffix)

    monkeypatch.setattr(JobContext, "output_path", ask_late)
    result = run_job(toy, OPTIONS, threads=threads)
    assert result.bad == (
        (
            "MotionCorr/job002/a.mrc",
            "MotionCorr/job002/a.mrc and a.mrc would both be written to AutoPick/job001/a_toy.star; "
            "rename one of them",
        ),
    )
    assert (result.output / "b_toy.star").exists()


def test_only_bad_micrographs_fail_the_job(project, toy):
    write_micrographs(project, ["broken1.mrc", "broken2.mrc"])
    with pytest.raises(JobError, match=r"none of the 2 micrographs.*broken1.mrc is cut off"):
        run_job(toy, OPTIONS)
    assert Path("AutoPick/job001/RELION_JOB_EXIT_FAILURE").exists()


def test_a_picture_never_fails_a_job(project, toy):
    recorder = Recorder()
    run_job(toy, OPTIONS, reporter=recorder)
    assert recorder.of("warning")[0]["text"] == "the picture histogram was not drawn: RuntimeError: no ink"


@pytest.mark.parametrize(
    ("option", "error", "said"),
    [("fail", JobError, "error: this job was told to fail"), ("crash", ZeroDivisionError, "in run\n")],
)
def test_a_failing_job_says_so(project, toy, option, error, said):
    with pytest.raises(error):
        run_job(toy, {**OPTIONS, option: True})
    assert Path("AutoPick/job001/RELION_JOB_EXIT_FAILURE").exists()
    assert status("AutoPick/job001/") == 3
    assert said in Path("AutoPick/job001/run.err").read_text()
    assert run_job(toy, OPTIONS).output.name == "job002"


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({}, r"please give micrographs \(micrographs STAR file\)"),
        ({"micrographs": "no.star"}, "micrographs: there is no file no.star"),
        ({**OPTIONS, "resolution": 0}, "resolution is 0; it must be a number above 0 Å"),
        ({**OPTIONS, "threshold": 0.1}, "threshold cannot be set: this picker has no references"),
        ({**OPTIONS, "colour": "red"}, "option 'colour' is unknown"),
    ],
)
def test_wrong_options_make_nothing(project, toy, values, said):
    with pytest.raises(InputError, match=said):
        run_job(toy, values)
    assert os.listdir() == ["micrographs.star"]


def test_the_abort_file_stops_and_continue_goes_on(project, toy):
    write_micrographs(project, [f"m{i}.mrc" for i in range(40)])
    marker = Path("AutoPick/job001/RELION_JOB_ABORT_NOW").resolve()

    class AbortWhenBegun:
        def event(self, kind, **data):
            if kind == "progress":
                marker.touch()

    with pytest.raises(JobAborted, match="boxwood toy --continue AutoPick/job001/"):
        run_job(toy, OPTIONS, threads=2, reporter=AbortWhenBegun())
    assert status("AutoPick/job001/") == 4
    assert not marker.exists() and (marker.parent / "RELION_JOB_EXIT_ABORTED").exists()
    before = {p: p.stat().st_mtime_ns for p in marker.parent.glob("*_toy.star")}
    assert 0 < len(before) < 40

    result = run_job(toy, {}, continue_from="AutoPick/job001")
    assert result.output == Path("AutoPick/job001") and len(result.tables["sizes"]) == 40
    assert all(p.stat().st_mtime_ns == old for p, old in before.items())
    assert not (marker.parent / "RELION_JOB_EXIT_ABORTED").exists()
    assert status("AutoPick/job001/") == 2
    assert Pipeline.read("default_pipeline.star").counter == 2
    assert (marker.parent / "note.txt").read_text().count("Executing new job") == 2


@pytest.mark.parametrize("where", ["AutoPick/job007", "Extract/job001", "micrographs.star", True])
def test_only_a_job_of_this_kind_can_be_continued(project, toy, where):
    run_job(toy, OPTIONS)
    with pytest.raises(InputError, match=r"no AutoPick job|say which job"):
        run_job(toy, OPTIONS, continue_from=where)


def test_a_refused_continuation_leaves_the_job_as_it_was(project, toy, monkeypatch):
    def refuse(options, context):
        raise InputError("these two do not fit")

    result = run_job(toy, OPTIONS)
    names = ("job.star", ".boxwood.json")
    before = [(result.output / name).read_bytes() for name in names]
    with pytest.raises(InputError, match="do not fit"):
        run_job(replace(toy, run=refuse), {"resolution": 5}, continue_from="AutoPick/job001")
    assert status("AutoPick/job001/") == 2
    assert [path.name for path in result.output.glob("RELION_JOB_*")] == ["RELION_JOB_EXIT_SUCCESS"]
    assert [(result.output / name).read_bytes() for name in names] == before
    assert "error: these two do not fit" in (result.output / "run.err").read_text()


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_a_job_that_cannot_be_begun_is_not_left_running(project, toy, monkeypatch, error):
    def full(*arguments):
        raise error

    monkeypatch.setattr("boxwood.project.job_files.append_note", full)
    with pytest.raises((OSError, JobAborted)):
        run_job(toy, OPTIONS)
    assert status("AutoPick/job001/") == (3 if isinstance(error, OSError) else 4)


@pytest.mark.parametrize("where", ["write_forms", "pipeline.Pipeline.write", "job_files.clear_markers"])
def test_a_job_that_is_interrupted_before_it_begins_is_not_left_running(project, toy, monkeypatch, where):
    """Ctrl-C in its entry waits until the lock is given back; what is in the books has its folder."""
    run_job(toy, OPTIONS)
    name = f"boxwood.project.{where}" if "." in where else f"boxwood.project.folder.{where}"
    function = operator.attrgetter(name.removeprefix("boxwood.project."))(boxwood.project)

    def interrupted(*arguments, **more):
        signal.raise_signal(signal.SIGINT)
        monkeypatch.setattr(name, function)
        return function(*arguments, **more)

    monkeypatch.setattr(name, interrupted)
    begun = "AutoPick/job001" if "markers" in where else False
    with pytest.raises(KeyboardInterrupt):
        run_job(toy, OPTIONS, continue_from=begun)
    monkeypatch.undo()
    os.chdir(project)
    assert not Path(".relion_lock").exists()
    books = ProjectFolder()
    with books.edit():
        pass
    found = {job.name: job.status for job in books.pipeline().jobs()}
    assert set(found.values()) <= {"Succeeded", "Aborted"} and "Aborted" in found.values()
    assert all(Path(name).is_dir() for name in found)


def test_a_result_is_kept_when_the_project_cannot_be_told(project, toy, monkeypatch):
    def locked(*arguments, **more):
        raise JobError("the project is locked")

    monkeypatch.setattr("boxwood.project.folder.ProjectFolder.end_job", locked)
    recorder = Recorder()
    result = run_job(toy, OPTIONS, reporter=recorder)
    assert result.files["coordinates"].exists()
    assert "could not be told: the project is locked" in recorder.of("warning")[-1]["text"]


@pytest.mark.parametrize(("output", "made"), [(None, "AutoPick/job001"), (".", "toy"), ("x", "x/toy")])
def test_jobs_of_a_job_go_below_its_output_if_it_was_given(project, toy, output, made):
    def both(options, context):
        return context.run("toy", **OPTIONS)

    outer = replace(toy, process=None, run=both)
    run_job(outer, OPTIONS, output=output)
    assert Path(made, "coords_suffix_autopick.star").exists()
    assert Path("default_pipeline.star").exists() == (output is None)


def test_a_job_runs_in_its_project_wherever_the_caller_is(project, toy, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    result = run_job(toy, OPTIONS, project="my projéct 1")
    assert result.files["coordinates"].exists()
    assert Path.cwd() == tmp_path


def test_threads_must_be_at_least_one(project, toy):
    with pytest.raises(InputError, match="threads is 0"):
        run_job(toy, OPTIONS, threads=0)


def test_an_output_folder_that_cannot_be_made_is_named(project, toy):
    with pytest.raises(InputError, match=r"micrographs\.star/x cannot be made"):
        run_job(toy, OPTIONS, output="micrographs.star/x")
