"""`boxwood project`: the list, the flow chart, and what goes to the trash and comes back."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from boxwood.cli.command import main
from boxwood.project.folder import ProjectFolder
from boxwood.project.job_form import JobType
from boxwood.project.pipeline import Pipeline

PICK, EXTRACT = JobType("AutoPick", 4, "relion.autopick.log"), JobType("Extract", 5, "relion.extract")
CLASSES = JobType("Class2D", 8, "relion.class2d")
MICROGRAPHS = "micrographs.star"


def write(root, *names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(name)


@pytest.fixture
def project(tmp_path, monkeypatch):
    """Picked, extracted and classified; the picking job is called "first"."""
    root = tmp_path / "prøject 1"
    root.mkdir()
    monkeypatch.chdir(root)
    folder = ProjectFolder(root)
    write(root, MICROGRAPHS)
    picks = folder.start_job(PICK, joboptions={}, inputs=[(MICROGRAPHS, "micrographs")], alias="first")
    write(root, picks + "coords_suffix_autopick.star", picks + "M/a_autopick.star", picks + "M/a_bestLoG.mrc")
    write(root, picks + "M/a_autopick_LoG120.spi")
    coordinates = (picks + "coords_suffix_autopick.star", "coordinates_suffix")
    folder.end_job(picks, "Succeeded", outputs=[coordinates])
    particles = folder.start_job(EXTRACT, joboptions={}, inputs=[coordinates])
    write(root, particles + "particles.star", particles + "M/a.mrcs", particles + "M/a_extract.star")
    folder.end_job(particles, "Succeeded", outputs=[(particles + "particles.star", "particles")])
    classes = folder.start_job(CLASSES, joboptions={}, inputs=[(particles + "particles.star", "particles")])
    for i in range(4):
        write(
            root, *(f"{classes}run_it{i:03d}_{what}" for what in ("data.star", "model.star", "classes.mrcs"))
        )
    write(root, classes + "run_unmasked_classes.mrcs")
    folder.end_job(classes, "Succeeded", outputs=[(classes + "run_it003_model.star", "class2d_model")])
    return root


def files(root):
    return {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}


def test_the_list_has_all_jobs_and_what_they_read_and_wrote(project, capsys):
    assert main(["project"]) == 0
    shown = capsys.readouterr().out
    assert "AutoPick/job001/  Succeeded" in shown and "(first)" in shown
    assert "<- AutoPick/job001/coords_suffix_autopick.star" in shown
    assert main(["project", "list", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [job["name"] for job in found] == ["AutoPick/job001/", "Extract/job002/", "Class2D/job003/"]
    assert found[2]["inputs"] == ["Extract/job002/particles.star"]
    assert found[2]["outputs"] == ["Class2D/job003/run_it003_model.star"]


@pytest.mark.parametrize("name", ["relion31_project", "relion5_project"])
def test_real_projects_are_listed_and_drawn(shared_data, tmp_path, monkeypatch, capsys, name):
    shutil.copy(shared_data / "formats" / name / "default_pipeline.star", tmp_path)
    monkeypatch.chdir(tmp_path)
    assert main(["project", "--json"]) == 0
    jobs = {job["name"]: job for job in json.loads(capsys.readouterr().out)}
    extract = "Extract/job007/" if name == "relion31_project" else "Extract/job009/"
    assert jobs[extract]["status"] == "Succeeded"
    assert any(node.startswith("AutoPick/") for node in jobs[extract]["inputs"])
    assert main(["project", "graph", "chart.mmd"]) == 0
    text = Path("chart.mmd").read_text()
    assert text.startswith("flowchart TD") and '-->|"particles.star"|' in text
    assert main(["project", "graph", "chart.svg"]) == 0
    assert "<svg" in Path("chart.svg").read_text()


def test_cleaning_says_first_what_it_would_do(project, capsys):
    before = files(project)
    assert main(["project", "clean", "--all"]) == 0
    assert "would go to Trash/" in capsys.readouterr().out
    assert files(project) == before


@pytest.mark.skipif(not shutil.which("relion_pipeliner"), reason="RELION is not installed")
@pytest.mark.parametrize("harsh", [False, True])
def test_cleaning_is_relions(project, tmp_path, harsh):
    """The same files remain as after RELION's own cleaning (FOM maps in MRC format RELION does not know)."""
    theirs = tmp_path / "theirs"
    shutil.copytree(project, theirs, symlinks=True)
    for number in "123":
        flag = "--harsh_clean" if harsh else "--gentle_clean"
        subprocess.run(["relion_pipeliner", flag, number], cwd=theirs, check=True, capture_output=True)
    before = files(project)
    assert main(["project", "clean", "1", "Extract/job002", "job003", "--yes", *["--harsh"] * harsh]) == 0
    kept = {name for name in files(project) if not name.startswith("Trash")}
    wanted = {name for name in files(theirs) if not name.startswith("Trash")}
    assert wanted - kept == {"AutoPick/job001/M/a_bestLoG.mrc"}
    assert kept <= wanted
    assert {name.removeprefix("Trash/") for name in files(project)} == before  # nothing is lost


def test_deleted_jobs_take_along_what_builds_on_them_and_come_back(project, capsys):
    before, pipeline = files(project), (project / "default_pipeline.star").read_text()
    assert main(["project", "delete", "first"]) == 2  # no alias without its type
    assert main(["project", "delete", "AutoPick/first"]) == 0
    assert "3 jobs would go to Trash/" in capsys.readouterr().out
    assert files(project) == before
    assert main(["project", "delete", "AutoPick/first", "--yes"]) == 0
    assert Pipeline.read("default_pipeline.star").jobs() == []
    assert not (project / "AutoPick/first").is_symlink()
    assert [path.name for path in (project / ".Nodes").rglob("*.star")] == [MICROGRAPHS]
    assert (project / "Trash/Extract/job002/M/a.mrcs").exists()
    for name in ("AutoPick/first", "2", "job003"):
        assert main(["project", "restore", name]) == 0
    assert files(project) - {".pipeline_has_changed"} == before - {".pipeline_has_changed"}
    assert (project / "default_pipeline.star").read_text() == pipeline
    assert (project / "AutoPick/first/M/a_autopick.star").exists()


def test_what_was_cleaned_before_comes_back_too(project):
    before = files(project)
    assert main(["project", "clean", "3", "--yes"]) == 0
    assert main(["project", "delete", "3", "--yes"]) == 0
    assert main(["project", "restore", "Class2D/job003"]) == 0
    assert files(project) == before


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["clean"], "name the jobs to clean"),
        (["clean", "9"], "9 is no job of the project"),
        (["delete"], "name the jobs to delete"),
        (["restore", "Extract/job002"], "jobs that can come back: none"),
        (["graph", "chart.doc"], "cannot be written as chart.doc; end its name in .svg"),
    ],
)
def test_wrong_use_is_refused_in_a_sentence(project, capsys, words, said):
    assert main(["project", *words]) == 2
    assert said in capsys.readouterr().err


def test_running_jobs_are_left_alone(project, capsys):
    name = ProjectFolder(project).start_job(EXTRACT, joboptions={}, inputs=[])
    assert main(["project", "clean", name, "--yes"]) == 2
    assert main(["project", "delete", name, "--yes"]) == 2
    assert "is running" in capsys.readouterr().err
    assert (project / name).is_dir()


def test_a_folder_that_is_no_project_is_told_so(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["project"]) == 2
    assert "has no default_pipeline.star" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
