"""relion_pipeliner and boxwood in one project: the same forms, the same books, at the same time."""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

import boxwood
from boxwood.cli.command import main
from boxwood.io.star import read_star
from boxwood.jobs.api import Project
from boxwood.jobs.registry import load_job
from boxwood.jobs.runner import schedule_job
from boxwood.project.folder import ProjectFolder
from boxwood.project.form_fields import filled_form, form_fields
from boxwood.project.job_form import JobForm
from boxwood.project.lock import pipeline_lock

pytestmark = [
    pytest.mark.relion,
    pytest.mark.skipif(shutil.which("relion_pipeliner") is None, reason="RELION is not installed"),
]
MICROGRAPHS = "micrographs_ctf.star"
TYPES = {3: "ManualPick", 4: "AutoPick", 5: "Extract", 7: "Select", 8: "Class2D"}
# What RELION insists on before it adds a job.
NEEDED = {
    3: {"fn_in": MICROGRAPHS},
    4: {"fn_input_autopick": MICROGRAPHS, "do_log": "Yes"},
    5: {"star_mics": MICROGRAPHS, "coords_suffix": "AutoPick/job001/coords_suffix_autopick.star"},
    7: {"fn_model": "Class2D/job003/run_it001_model.star"},
    8: {"fn_img": "Extract/job002/particles.star"},
}


def relion(*words, cwd):
    return subprocess.run(
        ["relion_pipeliner", *words], cwd=cwd, check=True, capture_output=True, text=True, timeout=200
    )


@pytest.fixture(scope="module")
def jobs(tmp_path_factory):
    """A project in which boxwood has done a job of every kind, the pipeline as it was then."""
    folder = tmp_path_factory.mktemp("pipeliner")
    project = Project(folder, threads=2)
    project.simulate(
        directory=".", micrographs=2, width=400, height=400, pixel_size=3.54, particles=12, snr=0.3
    )
    picks = project.autopick(micrographs=MICROGRAPHS, min_diameter=150, max_diameter=180, threshold_offset=1)
    assert picks.output.name == "job001"
    project.extract(micrographs=MICROGRAPHS, coordinates="AutoPick/job001", box_size=64, rescale=32)
    project.class2d(particles="Extract/job002/particles.star", classes=2, iterations=1, mask_diameter=150)
    project.select_classes(model="Class2D/job003/run_it001_model.star", classes=(1, 2))
    project.select_particles(particles="Extract/job002/particles.star", split=2)
    project.select_micrographs(micrographs=MICROGRAPHS, first=1)
    project.manual_pick(micrographs=MICROGRAPHS, coordinates="AutoPick/job001")
    return folder


@pytest.fixture
def copy(jobs, tmp_path):
    """A copy to add jobs to."""
    shutil.copytree(jobs, tmp_path / "copy", symlinks=True)
    return tmp_path / "copy"


@pytest.mark.parametrize("number", TYPES)
def test_forms_have_relions_fields(copy, number):
    said = "; ".join(f"{form_fields(number)[name].label} == {text}" for name, text in NEEDED[number].items())
    # RELION takes a label with the space before it.
    relion("--addJob", TYPES[number], "--addJobOptions", said.replace("; ", ";"), cwd=copy)
    window = JobForm.read(copy / f".gui_{TYPES[number].lower()}job.star")
    assert window.joboptions == {**filled_form(number, "1", {}), **NEEDED[number]}


def test_relion_takes_every_form_of_ours_without_a_word(jobs, copy):
    mine = [job.name for job in ProjectFolder(copy).pipeline().jobs()]
    assert sorted({name.partition("/")[0] for name in mine}) == sorted(TYPES.values())
    for name in mine:
        added = relion("--addJobFromStar", f"{name}job.star", cwd=copy)
        assert "WARNING" not in added.stderr and "ERROR" not in added.stderr, (name, added.stderr)
        theirs = ProjectFolder(copy).pipeline().jobs()[-1].name
        ours, again = (JobForm.read(copy / job) for job in (name, theirs))
        assert ours.joboptions == again.joboptions and ours.number == again.number
        # RELION links the same inputs, and its output nodes hold those we made.
        jobs_now = {job.name: job for job in ProjectFolder(copy).pipeline().jobs()}
        assert set(jobs_now[name].inputs) == set(jobs_now[theirs].inputs)


def test_the_window_is_told_what_boxwood_was_told(jobs):
    for name in TYPES.values():
        window = JobForm.read(jobs / f".gui_{name.lower()}job.star")
        last = [job.name for job in ProjectFolder(jobs).pipeline().jobs() if job.name.startswith(name)][-1]
        assert window.joboptions == JobForm.read(jobs / last).joboptions


def test_the_window_keeps_what_concerns_the_machine(copy, monkeypatch):
    (copy / "submit.csh").write_text("XXXcommandXXX\n")
    said = {
        "nr_mpi": "7",
        "do_queue": "Yes",
        "qsubscript": "submit.csh",
        "queuename": "long",
        "helical_rise": "4.75",
    }
    said["log_diam_max"] = "200"
    labels = "; ".join(f"{form_fields(4)[name].label} == {text}" for name, text in said.items())
    needed = "; ".join(f"{form_fields(4)[name].label} == {text}" for name, text in NEEDED[4].items())
    relion("--addJob", "AutoPick", "--addJobOptions", f"{needed}; {labels}".replace("; ", ";"), cwd=copy)
    monkeypatch.chdir(copy)
    assert (
        main(["autopick", "--micrographs", MICROGRAPHS, "--min-diameter", "150", "--max-diameter", "180"])
        == 0
    )
    window = JobForm.read(copy / ".gui_autopickjob.star").joboptions
    assert {name: window[name] for name in said} == {**said, "log_diam_max": "180"}
    made = JobForm.read(copy / ProjectFolder(copy).pipeline().jobs()[-1].name).joboptions
    assert made["do_queue"] == "No" and made["nr_mpi"] == "1" and made["helical_rise"] == "-1"


def test_files_for_relions_browser_are_relions(copy):
    """The same folders and files in .Nodes, for a job of ours and RELION's of the same form."""
    relion("--addJobFromStar", "Extract/job002/job.star", cwd=copy)
    theirs = ProjectFolder(copy).pipeline().jobs()[-1].name
    shown = {path.relative_to(copy / ".Nodes").as_posix() for path in (copy / ".Nodes").rglob("*.star")}
    assert {f"3/{name}particles.star" for name in ("Extract/job002/", theirs)} <= shown
    assert f"1/{MICROGRAPHS}" in shown


def test_the_alias_is_relions(copy):
    relion("--addJobFromStar", "Extract/job002/job.star", "--setJobAlias", "theirs", cwd=copy)
    name = ProjectFolder(copy).pipeline().jobs()[-1].name
    Project(copy).extract(micrographs=MICROGRAPHS, coordinates="AutoPick/job001", box_size=64, alias="ours")
    mine = ProjectFolder(copy).pipeline().jobs()[-1].name
    assert os.readlink(copy / "Extract/theirs").replace(name, mine) == os.readlink(copy / "Extract/ours")
    aliases = {job.name: job.alias for job in ProjectFolder(copy).pipeline().jobs()}
    assert aliases[name] == "Extract/theirs/" and aliases[mine] == "Extract/ours/"


# Jobs that are entered and ended, as fast as they can be.
BOOKS = """
import sys
from boxwood.project.folder import ProjectFolder
from boxwood.project.job_form import JobType
project, kind = ProjectFolder(sys.argv[1]), JobType("AutoPick", 4, "")
for _ in range(int(sys.argv[2])):
    name = project.start_job(kind, joboptions={}, inputs=[("micrographs_ctf.star", "micrographs")])
    project.end_job(name, "Succeeded")
    print(name)
"""


def test_two_boxwoods_and_relion_at_once_lose_nothing(copy):
    """Every job is in the books, and no number was given twice."""
    environment = {**os.environ, "PYTHONPATH": str(Path(boxwood.__file__).parents[1])}
    before = [job.name for job in ProjectFolder(copy).pipeline().jobs()]
    ours = [
        subprocess.Popen(
            [sys.executable, "-c", BOOKS, copy, "15"], env=environment, stdout=subprocess.PIPE, text=True
        )
        for _ in range(2)
    ]
    added = 0
    # One RELION at a time: two of its own pipeliners do give numbers twice.
    while any(process.poll() is None for process in ours) or not added:
        relion("--addJobFromStar", "AutoPick/job001/job.star", cwd=copy)
        added += 1
    made = [name for process in ours for name in process.communicate()[0].split()]
    jobs = ProjectFolder(copy).pipeline().jobs()
    names = [job.name for job in jobs]
    assert len(made) == 30 and len(names) == len(set(names)) == len(before) + 30 + added
    assert set(made) <= {job.name for job in jobs if job.status == "Succeeded"}
    assert [job.status for job in jobs].count("Scheduled") == added
    numbers = [int(name.rstrip("/").rpartition("job")[2]) for name in names]
    assert len(set(numbers)) == len(numbers)
    assert all((copy / name).is_dir() for name in names)
    assert not (copy / ".relion_lock").exists()


def test_relion_waits_for_our_lock(copy):
    with pipeline_lock(copy):
        process = subprocess.Popen(
            ["relion_pipeliner", "--addJobFromStar", "AutoPick/job001/job.star"],
            cwd=copy,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        said = process.stdout.readline()
        before = read_star(copy / "default_pipeline.star")["pipeline_general"]
    process.communicate(timeout=300)
    assert ".relion_lock exists" in said and process.returncode == 0
    after = read_star(copy / "default_pipeline.star")["pipeline_general"]
    assert after["rlnPipeLineJobCounter"] == before["rlnPipeLineJobCounter"] + 1


def test_relion_runs_a_scheduled_job_that_names_another_by_its_folder(copy):
    """What the other will make is in the books before it has run."""
    star = {"micrographs": MICROGRAPHS}
    diameters = {"min_diameter": 150, "max_diameter": 180, "threshold_offset": 1}
    picked = schedule_job(load_job("autopick"), {**star, **diameters}, project=copy)
    values = {**star, "coordinates": picked, "box_size": 64, "rescale": 32, "background_diameter": 24}
    extracted = schedule_job(load_job("extract"), values, project=copy)
    books = ProjectFolder(copy).pipeline()
    assert books.jobs()[-1].inputs == [MICROGRAPHS, f"{picked}coords_suffix_autopick.star"]
    for name, file in ((picked, "coords_suffix_autopick.star"), (extracted, "particles.star")):
        words = ["--schedule", name.replace("/", "_"), "--sec_wait_after", "0"]
        relion("--RunJobs", name, *words, cwd=copy)
        deadline = time.monotonic() + 300
        while not (copy / name / file).exists() and time.monotonic() < deadline:
            time.sleep(0.1)
        assert (copy / name / file).exists()
    assert not (copy / ".relion_lock").exists()
    after = ProjectFolder(copy).pipeline()
    for table in ("pipeline_nodes", "pipeline_input_edges"):
        assert set(books.tables[table].iloc[:, 0]) <= set(after.tables[table].iloc[:, 0])
    for now, before in zip(after.jobs(), books.jobs(), strict=True):
        assert now.outputs[: len(before.outputs)] == before.outputs  # RELION adds its logfile.pdf


def test_relion_runs_what_boxwood_scheduled(copy):
    """And boxwood sees that it ended."""
    words = ["--micrographs", MICROGRAPHS, "--min-diameter", "150", "--max-diameter", "180", "--schedule"]
    environment = {**os.environ, "PYTHONPATH": str(Path(boxwood.__file__).parents[1])}
    subprocess.run(
        [sys.executable, "-m", "boxwood", "autopick", *words], cwd=copy, env=environment, check=True
    )
    name = ProjectFolder(copy).pipeline().jobs()[-1].name
    relion("--RunJobs", name, "--schedule", "night", "--sec_wait_after", "0", cwd=copy)
    deadline = time.monotonic() + 300
    while not (copy / name / "coords_suffix_autopick.star").exists() and time.monotonic() < deadline:
        time.sleep(0.1)  # RELION's second command, which writes it, ends after the job
    job = next(job for job in ProjectFolder(copy).pipeline().jobs() if job.name == name)
    assert job.status == "Succeeded" and f"{name}coords_suffix_autopick.star" in job.outputs
    assert "relion_autopick" in (copy / name / "note.txt").read_text()
    picks = sorted(path.name for path in (copy / name).rglob("*_autopick.star"))
    assert picks[1:] == [f"micrograph_{i:03d}_autopick.star" for i in (1, 2)]
