"""Projects in a bad state: nothing is lost, and the message names the file and what to do."""

import ctypes
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import boxwood
from boxwood.cli.command import main
from boxwood.errors import FileFormatError, InputError, JobError
from boxwood.io.mrc import read_stack
from boxwood.io.particles import ParticleSet
from boxwood.io.star import read_star
from boxwood.jobs.api import Project
from boxwood.jobs.runner import run_job
from boxwood.project.folder import ProjectFolder

STAR = {"micrographs": "micrographs_ctf.star"}
PICK = {**STAR, "min_diameter": 150, "max_diameter": 180, "threshold_offset": 1}
BOXES = {**STAR, "coordinates": "AutoPick/job001", "box_size": 64, "rescale": 32}
CLASSES = {"classes": 2, "iterations": 3, "mask_diameter": 160, "psi_step": 18, "offset_range": 2}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A project with picks, particles and classes, in which nothing is bad."""
    folder = tmp_path_factory.mktemp("whole")
    project = Project(folder, threads=2)
    project.simulate(
        directory=".", micrographs=3, width=400, height=400, pixel_size=3.54, particles=12, snr=0.3
    )
    project.autopick(**PICK)
    project.extract(**BOXES)
    project.class2d(particles="Extract/job002/particles.star", **CLASSES)
    return folder


@pytest.fixture
def copy(whole, tmp_path):
    """A copy of it, to be spoiled; spaces and letters of Europe in its name."""
    return Path(shutil.copytree(whole, tmp_path / "Prøject 1", symlinks=True))


def statuses(folder):
    return {job.name: job.status for job in ProjectFolder(folder).pipeline().jobs()}


def temporary_files(folder):
    return [path for path in folder.rglob("*") if path.name.endswith(".tmp")]


def assert_same_particles(job, other):
    """Bit for bit, in the folders of two jobs."""
    stacks = sorted(other.rglob("*.mrcs"))
    assert len(stacks) == 3
    for stack in stacks:
        np.testing.assert_array_equal(read_stack(job / stack.relative_to(other))[:], read_stack(stack)[:])
    tables = [ParticleSet.read(folder / "particles.star").table for folder in (job, other)]
    tables = [table.drop(columns="rlnImageName") for table in tables]
    assert len(tables[0]) and tables[0].equals(tables[1])


# A full disk.


@pytest.fixture
def small_disk(tmp_path):
    """A function that mounts a disk of so many bytes."""
    mounted = []

    def mount(size):
        folder = tmp_path / "small disk"
        folder.mkdir()
        words = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
        done = subprocess.run(words, capture_output=True, text=True) if shutil.which("mount") else None
        if done is None or done.returncode:
            pytest.skip(f"no disk can be mounted here ({done and done.stderr.strip()})")
        mounted.append(folder)
        return folder

    yield mount
    for folder in mounted:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(disk, leave):
    """Leave so many bytes free."""
    free = os.statvfs(disk)
    (disk / "filler").write_bytes(bytes(max(0, free.f_bavail * free.f_frsize - leave)))


def on(disk, whole, leave, *without):
    """The project on the disk, of which nearly all is taken."""
    folder = disk / "project"
    shutil.copytree(whole, folder, symlinks=True, ignore=shutil.ignore_patterns(*without))
    fill(disk, leave)
    return folder


@pytest.mark.parametrize("leave", [30_000, 100_000, 200_000])
def test_a_full_disk_fails_the_job_and_it_goes_on_with_more_room(whole, small_disk, leave):
    """Wherever the room ends: in the books, in the first stack, in a later one."""
    folder = on(small_disk(12_000_000), whole, leave, "Class2D", "Extract")
    before = (folder / "default_pipeline.star").read_bytes()
    with pytest.raises(
        JobError, match=r"cannot be written \(No space left on device\); make room on that disk"
    ):
        Project(folder, threads=1).extract(**BOXES)
    assert not temporary_files(folder) and not (folder / ".relion_lock").exists()
    (folder.parent / "filler").unlink()
    name = ProjectFolder(folder).pipeline().jobs()[-1].name
    if name.startswith("Extract"):
        result = Project(folder, threads=1).extract(continue_from=name)
        assert statuses(folder)[name] == "Succeeded"
        assert_same_particles(result.output, whole / "Extract/job002")
    else:  # not even its entry was possible
        assert (folder / "default_pipeline.star").read_bytes() == before
        assert not list(folder.glob("Extract/job*"))


def test_a_classification_goes_on_from_its_last_whole_iteration(whole, small_disk):
    folder = on(small_disk(12_000_000), whole, 160_000, "Class2D")
    particles = "Extract/job002/particles.star"
    with pytest.raises(JobError, match="No space left on device"):
        Project(folder, threads=1).class2d(particles=particles, **CLASSES)
    name = ProjectFolder(folder).pipeline().jobs()[-1].name
    whole_ones = sorted(path.name for path in (folder / name).glob("run_it*_optimiser.star"))
    assert len(whole_ones) < 4 and not temporary_files(folder)
    (folder.parent / "filler").unlink()
    Project(folder, threads=1).class2d(continue_from=name, particles=particles, **CLASSES)
    ours, theirs = (ParticleSet.read(f / "run_it003_data.star").table
                    for f in (folder / name, whole / "Class2D/job003"))  # fmt: skip
    assert ours["rlnClassNumber"].equals(theirs["rlnClassNumber"])


def test_a_result_is_kept_when_there_is_no_room_for_the_books(project, toy, small_disk):
    disk = small_disk(2_000_000)
    shutil.copy(project / "micrographs.star", disk)

    def fills(options, context):
        result = toy.run(options, context)
        fill(disk, 0)
        return result

    said = []

    class Recorder:
        def event(self, kind, **data):
            if kind == "warning":
                said.append(data["text"])

    result = run_job(replace(toy, run=fills), {"micrographs": "micrographs.star"}, project=disk,
                     reporter=Recorder())  # fmt: skip
    assert result.files["coordinates"].exists()
    assert "ended (succeeded), but the project could not be told" in said[-1] and "make room" in said[-1]
    assert not (disk / ".relion_lock").exists()
    (disk / "filler").unlink()
    # The job had said by its marker that it had ended, if there was room for that; else it can be continued.
    run_job(toy, {}, project=disk, continue_from="AutoPick/job001")
    assert statuses(disk) == {"AutoPick/job001/": "Succeeded"}


# Write-protected folders and files.


def without_privileges():
    """Let the system refuse to root what it refuses to others."""
    ctypes.CDLL(None).prctl(24, 1, 0, 0, 0)  # PR_CAPBSET_DROP, CAP_DAC_OVERRIDE


def run(folder, *words):
    """Run `boxwood` as a process that rights are checked for: (code, output, errors)."""
    environment = {**os.environ, "PYTHONPATH": str(Path(boxwood.__file__).parents[1])}
    done = subprocess.run(
        [sys.executable, "-m", "boxwood", *map(str, words)],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        preexec_fn=without_privileges if os.geteuid() == 0 else None,
    )
    return done.returncode, done.stdout, done.stderr


@pytest.fixture
def protect():
    """Take away the right to write; all get it back in the end."""
    taken = []

    def take(path):
        taken.append((path, path.stat().st_mode))
        path.chmod(path.stat().st_mode & ~0o222)

    yield take
    for path, mode in taken:
        path.chmod(mode)


AUTOPICK = ["autopick", "--micrographs", "micrographs_ctf.star", "--min-diameter", 150, "--max-diameter", 180]


def test_a_write_protected_project(copy, protect):
    protect(copy)
    code, _, err = run(copy, *AUTOPICK)
    assert code == 1 and "Prøject 1 cannot be written (Permission denied); give yourself the right" in err
    assert run(copy, "project")[0] == 0  # looking is allowed


@pytest.mark.parametrize("name", ["", "run.out", "Micrographs", "particles.star"])
def test_a_write_protected_job(copy, protect, name):
    """The file is named; the job says that it failed where it can."""
    job = copy / "Extract/job002"
    before = {path: path.read_bytes() for path in job.rglob("*.mrcs")}
    next(iter(before)).with_name("micrograph_001_extract.star").unlink()  # something is left to do
    protect(job / name)
    code, _, err = run(copy, "extract", "--continue", "Extract/job002")
    assert code == 1 and f"Extract/job002/{name}".rstrip("/") in err and "Permission denied" in err
    assert "give yourself the right to write there" in err
    assert all(path.read_bytes() == content for path, content in before.items())
    assert not temporary_files(copy) and not (copy / ".relion_lock").exists()


def test_write_protected_books_stay_as_they_are(copy, protect):
    books = copy / "default_pipeline.star"
    before = books.read_bytes()
    protect(books)
    code, _, err = run(copy, *AUTOPICK)
    assert code == 1 and "default_pipeline.star cannot be written (Permission denied)" in err
    assert books.read_bytes() == before and not (copy / "AutoPick/job004").exists()


def test_write_protected_inputs_are_no_matter(copy, protect):
    for name in ("Micrographs", "micrographs_ctf.star", "AutoPick/job001"):
        protect(copy / name)
    words = ("--micrographs", "micrographs_ctf.star", "--coordinates", "AutoPick/job001", "--box-size", 64)
    assert run(copy, "extract", *words, "--rescale", 32)[0] == 0


# What is missing, moved or damaged.


def test_missing_micrographs_are_named_and_the_others_used(copy, capfd, monkeypatch):
    monkeypatch.chdir(copy)
    (copy / "Micrographs/micrograph_002.mrc").unlink()
    assert main([*map(str, AUTOPICK), "--threads", "2"]) == 0
    said = "1 input left out: Micrographs/micrograph_002.mrc ([Errno 2] No such file or directory"
    assert said in capfd.readouterr().err
    words = ["--micrographs", "micrographs_ctf.star", "--coordinates", "AutoPick/job001", "--box-size", "64"]
    assert main(["extract", *words]) == 0
    assert said in capfd.readouterr().err
    assert len(read_star("AutoPick/job004/summary.star")[""]) == 2
    shutil.rmtree(copy / "Micrographs")
    assert main([*map(str, AUTOPICK)]) == 1
    err = capfd.readouterr().err
    assert "none of the 3 micrographs could be used; the first because" in err and "micrograph_001.mrc" in err


def test_a_moved_project_goes_on(copy, whole, tmp_path):
    """Nothing in it says where it was."""
    project = Project(copy, threads=2)
    for path in sorted((copy / "Extract/job002/Micrographs").glob("*_002*")):
        path.unlink()
    for path in (copy / "Class2D/job003").glob("run_it003_*"):
        path.unlink()
    moved = tmp_path / "else where"
    copy.rename(moved)
    project = Project(moved, threads=2)
    project.extract(continue_from="Extract/job002")
    assert_same_particles(moved / "Extract/job002", whole / "Extract/job002")
    project.class2d(continue_from="Class2D/job003")
    tables = [ParticleSet.read(f / "Class2D/job003/run_it003_data.star").table for f in (moved, whole)]
    assert tables[0]["rlnClassNumber"].equals(tables[1]["rlnClassNumber"])
    assert str(copy) not in "".join(path.read_text() for path in moved.rglob("*.star"))


@pytest.mark.parametrize("kind", ["AutoPick", "Extract/job002", "Micrographs"])
def test_folders_may_be_links_to_another_disk(copy, whole, tmp_path, kind):
    """Whole kinds of jobs, single jobs under whatever name, and the micrographs."""
    elsewhere = tmp_path / "disk 2/x123"
    elsewhere.parent.mkdir()
    shutil.move(copy / kind, elsewhere)
    (copy / kind).symlink_to(elsewhere)
    project = Project(copy, threads=2)
    project.extract(**BOXES)
    project.class2d(particles="Extract/job002/particles.star", **CLASSES)
    jobs = {job.name: job for job in ProjectFolder(copy).pipeline().jobs()}
    assert jobs["Extract/job004/"].inputs == [
        "micrographs_ctf.star",
        "AutoPick/job001/coords_suffix_autopick.star",
    ]
    assert jobs["Class2D/job005/"].inputs == ["Extract/job002/particles.star"]
    next((copy / "Extract/job002").rglob("*_extract.star")).unlink()
    project.extract(continue_from="Extract/job002")
    assert_same_particles(copy / "Extract/job002", whole / "Extract/job002")
    assert (copy / kind).is_symlink()


def test_a_project_that_is_reached_by_a_link(copy, whole, tmp_path, monkeypatch):
    link = tmp_path / "link"
    link.symlink_to(copy)
    project = Project(link, threads=2)
    picks = project.autopick(**PICK)
    assert picks.output == link / "AutoPick/job004"
    # By their whole names, through the link and not.
    for start in (link, copy):
        project.extract(**BOXES | {"coordinates": start / "AutoPick/job004"})
        assert ProjectFolder(copy).pipeline().jobs()[-1].inputs == [
            "micrographs_ctf.star",
            "AutoPick/job004/coords_suffix_autopick.star",
        ]


NAMES = ["Mikrograph äöü 1.mrc", "микрограф 2.mrc", "顕微鏡 写真 3.mrc"]


def test_any_letters_and_spaces_in_names(copy, whole):
    """From micrographs to selected classes, in names of files, folders and jobs."""
    text = (copy / "micrographs_ctf.star").read_text()
    folder = copy / "Grid 1 – Ω"
    folder.mkdir()
    for i, name in enumerate(NAMES, 1):
        (copy / f"Micrographs/micrograph_{i:03d}.mrc").rename(folder / name)
        text = text.replace(f"Micrographs/micrograph_{i:03d}.mrc", f'"{folder.name}/{name}"')
    (copy / "micro graphs.star").write_text(text)
    star, project = {"micrographs": "micro graphs.star"}, Project(copy, threads=2)
    project.autopick(**PICK | star, alias="première fois")
    project.extract(**BOXES | star | {"coordinates": "AutoPick/première_fois"})
    project.class2d(particles="Extract/job005/particles.star", **CLASSES)
    project.select_classes(model="Class2D/job006/run_it003_model.star", classes=(1, 2))
    ours = ParticleSet.read(copy / "Select/job007/particles.star").table
    theirs = ParticleSet.read(whole / "Class2D/job003/run_it003_data.star").table
    assert set(ours["rlnMicrographName"]) == {f"{folder.name}/{name}" for name in NAMES}
    assert len(ours) == len(theirs)
    assert set(statuses(copy).values()) == {"Succeeded"}


def test_half_a_table_is_named_with_its_line(copy):
    path = copy / "Extract/job002/particles.star"
    text = path.read_text().rstrip()
    path.write_text(text[: text.rindex(" ")])
    with pytest.raises(FileFormatError, match=r"particles\.star.* line \d+"):
        Project(copy).class2d(particles="Extract/job002/particles.star", **CLASSES)
    assert statuses(copy)["Class2D/job004/"] == "Failed"
    assert "particles.star" in (copy / "Class2D/job004/run.err").read_text()


def test_half_a_stack_is_named_and_the_others_used(copy):
    path = copy / "Extract/job002/Micrographs/micrograph_002.mrcs"
    path.write_bytes(path.read_bytes()[:-1000])
    result = Project(copy).class2d(particles="Extract/job002/particles.star", **CLASSES)
    ((name, reason),) = result.bad
    assert name.endswith("micrograph_002.mrcs") and "truncated" in reason and "copy it again" in reason
    table = result.tables["particles"]
    unused = table["rlnMicrographName"] == "Micrographs/micrograph_002.mrc"
    assert (table.loc[unused, "rlnClassNumber"] == 0).all() and (
        table.loc[~unused, "rlnClassNumber"] > 0
    ).all()


@pytest.mark.parametrize("content", ["", "\n# version 30001\n\ndata_pipeline_general\n\n_rlnPipe"])
def test_half_a_pipeline_is_named_and_left_alone(copy, content):
    """And the remedy it names is one."""
    books = copy / "default_pipeline.star"
    books.write_text(content)
    said = r"default_pipeline\.star .*restore it from the default_pipeline\.star in the newest job folder"
    with pytest.raises(FileFormatError, match=said):
        Project(copy).autopick(**PICK)
    assert books.read_text() == content and not (copy / "AutoPick/job004").exists()
    shutil.copy(copy / "Class2D/job003/default_pipeline.star", books)
    Project(copy).autopick(**PICK)
    assert set(statuses(copy).values()) == {"Succeeded"} and len(statuses(copy)) == 4


@pytest.mark.parametrize("name", ["run_it003_model.star", "run_it003_data.star", "run_it003_classes.mrcs"])
def test_half_an_iteration_is_named(copy, name):
    path = copy / "Class2D/job003" / name
    (copy / "Class2D/job003/run_it003_state.npz").unlink()
    path.unlink()
    with pytest.raises(FileFormatError, match=name.replace(".", r"\.")):
        Project(copy).class2d(continue_from="Class2D/job003", iterations=4)
    assert statuses(copy)["Class2D/job003/"] == "Succeeded"  # as it was


# Killed programs, and two at once.

KILLED = """
import os, signal, sys
from boxwood.jobs.api import Project

class Kill:
    def event(self, kind, **data):
        if kind == "progress" and data["done"] == 2:
            os.kill(os.getpid(), signal.SIGKILL)

Project(".", threads=1, reporter=Kill()).extract(
    micrographs="micrographs_ctf.star", coordinates="AutoPick/job001", box_size=64, rescale=32)
"""


@pytest.fixture
def killed(copy):
    """A job whose program was killed after two of three micrographs."""
    environment = {**os.environ, "PYTHONPATH": str(Path(boxwood.__file__).parents[1])}
    done = subprocess.run([sys.executable, "-c", KILLED], cwd=copy, env=environment)
    assert done.returncode == -signal.SIGKILL
    assert statuses(copy)["Extract/job004/"] == "Running"
    return copy


def test_a_killed_job_goes_on(killed, whole):
    done = sorted((killed / "Extract/job004").rglob("*_extract.star"))
    times = [path.stat().st_mtime_ns for path in done]
    assert len(done) >= 2
    Project(killed).extract(continue_from="Extract/job004")
    assert [path.stat().st_mtime_ns for path in done] == times
    assert statuses(killed)["Extract/job004/"] == "Succeeded"
    assert_same_particles(killed / "Extract/job004", whole / "Extract/job002")


def test_a_killed_job_can_be_deleted_or_be_said_to_have_failed(killed, monkeypatch):
    monkeypatch.chdir(killed)
    (killed / "Extract/job004/RELION_JOB_EXIT_FAILURE").touch()
    Project(killed).autopick(**PICK)  # as every program that opens the books, it looks for what has ended
    assert statuses(killed)["Extract/job004/"] == "Failed"
    assert main(["project", "delete", "4", "--yes"]) == 0
    assert "Extract/job004/" not in statuses(killed)


def test_relions_running_job_is_left_alone(copy):
    """Whether RELION is still at work there, RELION's user knows."""
    (copy / "Extract/job002/.boxwood.json").unlink()
    with ProjectFolder(copy).edit() as pipeline:
        pipeline.set_status("Extract/job002/", "Running")
    (copy / "Extract/job002/RELION_JOB_EXIT_SUCCESS").unlink()
    said = "Extract/job002 is running; wait for its end, or make .*; if its program has died"
    with pytest.raises(InputError, match=said):
        Project(copy).extract(continue_from="Extract/job002", **BOXES)
    (copy / "Extract/job002/RELION_JOB_EXIT_FAILURE").touch()
    Project(copy).extract(continue_from="Extract/job002", **BOXES)
    assert statuses(copy)["Extract/job002/"] == "Succeeded"


def test_a_job_is_continued_by_one_program_at_a_time(project, toy):
    run_job(toy, {"micrographs": "micrographs.star"})
    inside = []

    def twice(options, context):
        with pytest.raises(InputError, match="AutoPick/job001 is running; wait for its end"):
            run_job(toy, {}, continue_from="AutoPick/job001")
        inside.append(statuses(project))
        return toy.run(options, context)

    run_job(replace(toy, run=twice), {}, continue_from="AutoPick/job001")
    assert inside == [{"AutoPick/job001/": "Running"}]
    assert statuses(project) == {"AutoPick/job001/": "Succeeded"}
    assert not (project / "AutoPick/job001/RELION_JOB_EXIT_FAILURE").exists()
