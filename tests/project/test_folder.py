"""The books of a project: real pipelines of every RELION, aliases, locks."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from boxwood.errors import FileFormatError, InputError, JobError
from boxwood.io.star import read_star
from boxwood.project.folder import ProjectFolder
from boxwood.project.job_form import JobType
from boxwood.project.pipeline import Pipeline

PICK = JobType("AutoPick", 4, "relion.autopick.log")

relion = pytest.mark.relion
needs_relion = pytest.mark.skipif(not shutil.which("relion_pipeliner"), reason="RELION is not installed")
OLD = {
    "3": ("relion31_project/default_pipeline.star", "CtfFind/job003/micrographs_ctf.star"),
    "4": ("relion4/default_pipeline.star", "CtfFind/job003/micrographs_ctf.star"),
    "5": ("relion5_project/default_pipeline.star", "Select/job007/micrographs_split1.star"),
}


@pytest.fixture(params=OLD)
def old_project(request, shared_data, tmp_path):
    """A copy of a real project's pipeline: (folder, RELION's generation, a node of micrographs)."""
    source, node = OLD[request.param]
    shutil.copyfile(shared_data / "formats" / source, tmp_path / "default_pipeline.star")
    return tmp_path, int(request.param), node


def run_a_job(project, node="micrographs.star", alias=None):
    """Go through the life of a job; return its name."""
    joboptions = {"fn_input_autopick": node, "do_log": "Yes"}
    name = project.start_job(PICK, joboptions=joboptions, inputs=[(node, "micrographs")], alias=alias)
    for file in ("coords_suffix_autopick.star", "autopick.star"):
        (project.root / name / file).touch()
    outputs = [(name + "coords_suffix_autopick.star", "coordinates_suffix")]
    outputs += [(name + "autopick.star", "coordinates_list")]
    project.end_job(name, "Succeeded", outputs=outputs)
    return name


def rows(path):
    return {tuple(line.split()) for line in path.read_text().splitlines() if line.strip()}


def test_a_real_project_keeps_every_row_and_gets_one_job_more(old_project):
    folder, generation, node = old_project
    path = folder / "default_pipeline.star"
    before, head = rows(path), path.read_text()[:20]
    counter = Pipeline.read(path).counter
    name = run_a_job(ProjectFolder(folder), node, alias="more picks")
    assert name == f"AutoPick/job{counter:03d}/"
    gone = before - rows(path)
    assert gone == {("_rlnPipeLineJobCounter", str(counter))}
    made = {("_rlnPipeLineJobCounter", str(counter + 1)), (node, name)}
    if generation == 3:
        output = name + "coords_suffix_autopick.star"
        made |= {(name, "AutoPick/more_picks/", "4", "2"), (output, "2"), (name, output)}
    else:
        output = name + "autopick.star"
        label = {4: "MicrographsCoords", 5: "MicrographCoordsGroup"}[generation] + ".star.relion.autopick"
        depth = ("1",) if generation == 5 else ()
        made |= {(name, "AutoPick/more_picks/", "relion.autopick.log", "Succeeded")}
        made |= {(output, label, *depth), (name, output)}
    assert rows(path) - before == made
    assert path.read_text()[:20] == head  # the same version comment


def test_the_columns_of_the_job_files_are_relions(old_project):
    folder, generation, node = old_project
    name = run_a_job(ProjectFolder(folder), node)
    mine = read_star(folder / name / "job_pipeline.star")
    kind = {3: {"rlnJobType": 4}, 4: {"rlnJobTypeLabel": PICK.label}, 5: {"rlnJobTypeLabel": PICK.label}}
    tomo = {"rlnJobIsTomo": 0} if generation == 5 else {}
    job = read_star(folder / name / "job.star")["job"]
    assert job == {**kind[generation], "rlnJobIsContinue": 0, **tomo}
    assert mine["pipeline_general"] == {"rlnPipeLineJobCounter": 2}
    assert list(mine["pipeline_processes"].iloc[:, 0]) == [name]
    assert set(mine["pipeline_nodes"].iloc[:, 0]) >= {node}
    whole = read_star(folder / "default_pipeline.star")
    assert {t: list(c) for t, c in mine.items()} == {t: list(whole[t]) for t in mine}


def test_a_job_stands_for_the_files_it_made(tmp_path):
    project = ProjectFolder(tmp_path)
    picks = run_a_job(project, alias="mine")
    for named in (picks, picks.rstrip("/"), "AutoPick/mine"):
        assert project.file_of(named, "coordinates") == picks + "coords_suffix_autopick.star"
        assert project.file_of(named, "particles") is None
    assert project.file_of("micrographs.star", "coordinates") == "micrographs.star"


@relion
@needs_relion
def test_relion_takes_our_project_for_its_own(tmp_path):
    (tmp_path / "micrographs.star").touch()
    project = ProjectFolder(tmp_path)
    name = run_a_job(project, alias="first")
    before = (tmp_path / "default_pipeline.star").read_text()

    def relion(*words):
        return subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, timeout=300)

    table = relion("relion_star_printtable", "default_pipeline.star", "data_pipeline_processes")
    assert table.stdout.split() == [name, "AutoPick/first/", "4", "2"]
    assert relion("relion_pipeliner", "--check_job_completion").returncode == 0
    assert (tmp_path / "default_pipeline.star").read_text() == before
    added = relion("relion_pipeliner", "--addJobFromStar", name + "job.star")
    assert added.returncode == 0 and "WARNING" not in added.stderr
    pipeline = project.pipeline()  # RELION added a scheduled job, and lost nothing of ours
    assert pipeline.process("AutoPick/job002/")["rlnPipeLineProcessStatus"] == 1
    assert pipeline.process(name)["rlnPipeLineProcessAlias"] == "AutoPick/first/"
    assert set(before.split()) - {"2"} <= set((tmp_path / "default_pipeline.star").read_text().split())
    assert run_a_job(project) == "AutoPick/job003/"


def test_jobs_that_ended_without_telling_are_noticed(tmp_path):
    project = ProjectFolder(tmp_path)
    name = project.start_job(PICK, joboptions={}, inputs=[])
    (tmp_path / name / "RELION_JOB_EXIT_FAILURE").touch()
    run_a_job(project)
    assert project.pipeline().process(name)["rlnPipeLineProcessStatus"] == 3


def test_a_folder_that_is_there_already_is_left_alone(tmp_path):
    (tmp_path / "AutoPick/job001").mkdir(parents=True)
    assert ProjectFolder(tmp_path).start_job(PICK, joboptions={}, inputs=[]) == "AutoPick/job002/"


@pytest.mark.parametrize("alias", ["x", "job9", "a/b", "a(b", "$HOME", ".hidden", "50%"])
def test_aliases_that_relion_does_not_allow_are_refused(tmp_path, alias):
    with pytest.raises(InputError, match="is not possible"):
        ProjectFolder(tmp_path).start_job(PICK, joboptions={}, inputs=[], alias=alias)
    assert not (tmp_path / "AutoPick").exists()


def test_an_alias_is_given_once(tmp_path):
    project = ProjectFolder(tmp_path)
    run_a_job(project, alias="mine")
    with pytest.raises(InputError, match="AutoPick/mine/ is taken"):
        run_a_job(project, alias="mine")
    assert project.pipeline().counter == 2


def test_a_folder_that_cannot_be_written_to_is_named(tmp_path):
    if os.geteuid() == 0:
        folder = Path("/proc")  # root may write anywhere else
    else:
        folder = tmp_path
        folder.chmod(0o500)
    with pytest.raises(JobError, match=r"the project folder .* cannot be written \(.*\)"):
        run_a_job(ProjectFolder(folder))


def test_a_file_that_is_no_pipeline_is_named(tmp_path):
    (tmp_path / "default_pipeline.star").write_text("data_optics\n\n_rlnVoltage 300\n")
    with pytest.raises(FileFormatError, match=r"default_pipeline\.star has no table data_pipeline_general"):
        ProjectFolder(tmp_path).pipeline()
