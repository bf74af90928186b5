"""Scheduled jobs: entered, run in order, again with new micrographs, and stopped."""

import shutil
import subprocess
import threading
import time
from pathlib import Path

import pytest
from test_autopick import NAMES, project, write_list  # noqa: F401 (the fixture)

from boxwood.cli.command import main
from boxwood.errors import InputError, JobAborted
from boxwood.io.star import read_star
from boxwood.jobs.reporter import Silent
from boxwood.jobs.schedule import run_schedule
from boxwood.project.folder import ProjectFolder
from boxwood.project.pipeline import Pipeline

PICK = [
    "autopick",
    "--micrographs",
    "micrographs.star",
    "--min-diameter",
    "80",
    "--max-diameter",
    "100",
    "--threshold-offset",
    "1",
]
EXTRACT = ["extract", "--micrographs", "micrographs.star", "--box-size", "32"]


def statuses():
    return [job.status for job in Pipeline.read("default_pipeline.star").jobs()]


@pytest.fixture
def scheduled(project):  # noqa: F811
    """Picking and extraction, not run yet."""
    write_list(NAMES[:2])
    assert main([*PICK, "--schedule"]) == 0
    assert main([*EXTRACT, "--coordinates", "AutoPick/job001/coords_suffix_autopick.star", "--schedule"]) == 0
    assert statuses() == ["Scheduled", "Scheduled"]
    assert not list(Path("AutoPick/job001").glob("Movies"))
    return project


def test_jobs_are_run_in_their_order_in_their_folders(scheduled, capsys):
    assert main(["schedule", "AutoPick/job001", "Extract/job002", "--threads", "1"]) == 0
    assert statuses() == ["Succeeded", "Succeeded"]
    assert len(read_star("Extract/job002/particles.star")["particles"]) == 8
    assert [len(list(scheduled.glob(kind))) for kind in ("AutoPick/job*", "Extract/job*")] == [1, 1]
    assert not list(scheduled.glob("RUNNING_PIPELINER*"))
    assert "round 1 of 1" in capsys.readouterr().out
    assert "executing Extract/job002/" in Path("pipeline_schedule1.log").read_text()


SELECT = ["select-particles", "--particles", "Extract/job002", "--split", "2"]
CLASSIFY = ["class2d", "--particles", "Extract/job002", "--classes", "2", "--mask-diameter", "90"]


def test_scheduled_jobs_say_what_they_will_make(project):  # noqa: F811
    """In the books at once, so that the jobs after them can be named by their folders."""
    write_list(NAMES[:2])
    words = [*EXTRACT, "--coordinates", "AutoPick/job001"], SELECT, [*CLASSIFY, "--iterations", "2"]
    for job in [*PICK, "--alias", "mine"], *words:
        assert main([*job, "--schedule"]) == 0
    before = Pipeline.read("default_pipeline.star")
    picks, particles = "AutoPick/job001/coords_suffix_autopick.star", "Extract/job002/particles.star"
    jobs = before.jobs()
    assert [job.inputs for job in jobs] == [
        ["micrographs.star"],
        ["micrographs.star", picks],
        [particles],
        [particles],
    ]
    assert [job.outputs for job in jobs] == [
        [picks],
        [particles],
        [f"Select/job003/particles_split{i}.star" for i in (1, 2)],
        [f"Class2D/job004/run_it002_{kind}.star" for kind in ("data", "model")],
    ]
    assert Path(".Nodes/2/AutoPick/mine/coords_suffix_autopick.star").exists()
    assert Path(".Nodes/3/Class2D/job004/run_it002_data.star").exists()
    for job in jobs:
        mine = Pipeline.read(Path(job.name, "job_pipeline.star"))
        assert [(j.inputs, j.outputs) for j in mine.jobs()] == [(job.inputs, job.outputs)]
    run_schedule(["1", "2", "3"], Silent(), threads=1)
    after = Pipeline.read("default_pipeline.star")
    assert statuses() == ["Succeeded"] * 3 + ["Scheduled"]
    for table in ("pipeline_nodes", "pipeline_input_edges", "pipeline_output_edges"):
        assert after.tables[table].equals(before.tables[table])


@pytest.mark.parametrize("words", [SELECT, CLASSIFY, [*EXTRACT, "--coordinates", "AutoPick/job099"]])
def test_a_folder_that_is_no_job_is_refused(project, capsys, words):  # noqa: F811
    """Also one that makes other files."""
    write_list(NAMES[:2])
    assert main([*words, "--schedule"]) == 2
    assert "is no job that makes" in capsys.readouterr().err
    assert main([*PICK, "--schedule"]) == 0
    refused = [word.replace("Extract/job002", "AutoPick/job001") for word in words]
    assert main([*refused, "--schedule"]) == 2
    assert len(statuses()) == 1


def test_a_folder_that_is_no_job_is_no_node(project):  # noqa: F811
    write_list(NAMES[:2])
    Path("AutoPick/job099").mkdir(parents=True)
    assert main([*EXTRACT, "--coordinates", "AutoPick/job099"]) != 0
    (job,) = Pipeline.read("default_pipeline.star").jobs()
    assert (job.status, job.inputs) == ("Failed", ["micrographs.star"])


def test_new_micrographs_are_done_in_the_next_round(scheduled):
    class Comes(Silent):
        """Two more micrographs come when the second round begins."""

        def event(self, kind, **data):
            if "round 2" in str(data.get("text")):
                times.extend(path.stat().st_mtime_ns for path in done)
                write_list(NAMES)

    done = [Path(f"Extract/job002/Movies/m{i}.mrcs") for i in range(2)]
    times = []
    run_schedule(["1", "2"], Comes(), repeat=2, threads=1)
    assert len(read_star("Extract/job002/particles.star")["particles"]) == 16
    assert [path.stat().st_mtime_ns for path in done] == times  # not extracted twice


def test_what_is_not_done_by_micrographs_is_done_anew_and_nothing_is_lost(project):  # noqa: F811
    assert (
        main(["select-micrographs", "--micrographs", "micrographs.star", "--first", "2", "--schedule"]) == 0
    )
    run_schedule(["1"], Silent(), repeat=2)
    assert statuses() == ["Succeeded"]
    selected = "Select/job001/micrographs_selected.star"
    assert (project / selected).exists() and (project / "Trash" / selected).exists()


def test_removing_the_file_stops_before_the_next_job(scheduled):
    class Removes(Silent):
        def event(self, kind, **data):
            if kind == "end":
                Path("RUNNING_PIPELINER_night").unlink()

    with pytest.raises(JobAborted, match="RUNNING_PIPELINER_night was removed"):
        run_schedule(["1", "2"], Removes(), name="night", threads=1)
    assert statuses() == ["Succeeded", "Scheduled"]


def test_the_wait_between_rounds_ends_at_once_when_stopped(scheduled):
    marker = Path("RUNNING_PIPELINER_long").resolve()

    def stop():
        while ProjectFolder(scheduled).job("1").status != "Succeeded":
            time.sleep(0.05)
        marker.unlink()

    stopper = threading.Thread(target=stop)
    stopper.start()
    with pytest.raises(JobAborted):
        run_schedule(["1"], Silent(), name="long", repeat=2, min_wait_minutes=600, threads=1)
    stopper.join()


def test_one_schedule_of_a_name_at_a_time(scheduled):
    Path("RUNNING_PIPELINER_schedule1").touch()
    with pytest.raises(InputError, match="schedule schedule1 is running"):
        run_schedule(["1"], Silent())
    assert statuses() == ["Scheduled", "Scheduled"]


def test_run_job_runs_a_scheduled_job_in_its_folder(scheduled):
    assert main(["run-job", "AutoPick/job001"]) == 0
    assert statuses() == ["Succeeded", "Scheduled"]


@pytest.mark.skipif(not shutil.which("relion_pipeliner"), reason="RELION is not installed")
def test_what_relion_scheduled_is_run_here(scheduled, tmp_path):
    form = tmp_path / "form.star"
    shutil.copy("AutoPick/job001/job.star", form)
    subprocess.run(["relion_pipeliner", "--addJobFromStar", str(form)], check=True, capture_output=True)
    assert statuses() == ["Scheduled"] * 3
    assert main(["schedule", "job003", "--threads", "1"]) == 0
    assert statuses() == ["Scheduled", "Scheduled", "Succeeded"]
    assert len(list(Path("AutoPick/job003").rglob("m*_autopick.star"))) == 2
