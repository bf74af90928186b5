"""Projects in a bad state: nothing is lost, and the message names the file and what to do."""

import errno
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
from small import AUTOPICK, BOXES, CLASSES, PICK, assert_same_particles, statuses, temporary_files

import boxwood
from boxwood.cli.command import main
from boxwood.errors import FileFormatError, InputError, JobError
from boxwood.io.atomic import move
from boxwood.io.particles import ParticleSet
from boxwood.io.star import read_star
from boxwood.jobs.api import Project
from boxwood.jobs.runner import run_job
from boxwood.project.folder import ProjectFolder
from boxwood.project.trash import clean, cleaning, clear, delete, restore


@pytest.fixture
def other_disk(tmp_path):
    """A folder on another disk, or what the system takes for one: a rename cannot reach it."""
    disk = Path("/dev/shm")
    if not os.access(disk, os.W_OK) or disk.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("needs /dev/shm on another disk than the temporary files")
    with tempfile.TemporaryDirectory(dir=disk) as folder:
        yield Path(folder)


# What is missing, moved or damaged.


def test_missing_micrographs_are_named_and_the_others_used(copy, capfd, monkeypatch):
    monkeypatch.chdir(copy)
    (copy / "Micrographs/micrograph_002.mrc").unlink()
    assert main([*AUTOPICK, "--threads", "2"]) == 0
    said = "1 input left out: Micrographs/micrograph_002.mrc ([Errno 2] No such file or directory"
    assert said in capfd.readouterr().err
    words = ["--micrographs", "micrographs_ctf.star", "--coordinates", "AutoPick/job001", "--box-size", "64"]
    assert main(["extract", *words]) == 0
    assert said in capfd.readouterr().err
    assert len(read_star("AutoPick/job004/summary.star")[""]) == 2
    shutil.rmtree(copy / "Micrographs")
    assert main(AUTOPICK) == 1
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
def test_folders_may_be_links_to_another_disk(copy, whole, other_disk, kind):
    """Whole kinds of jobs, single jobs under whatever name, and the micrographs."""
    elsewhere = other_disk / "disk 2/x123"
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


@pytest.mark.parametrize("link", ["Class2D", "Class2D/job003"])
def test_a_job_on_another_disk_goes_on_from_an_earlier_iteration(copy, other_disk, link):
    """And is deleted with what went to the trash before, and comes back whole."""
    shutil.move(copy / link, other_disk / "x123")
    (copy / link).symlink_to(other_disk / "x123")
    job, trash = copy / "Class2D/job003", copy / "Trash/Class2D/job003"
    before = {path.name: path.read_bytes() for path in job.glob("run_it003*")}
    Project(copy, threads=2).class2d(continue_from="Class2D/job003/run_it002_optimiser.star")
    assert {path.name: path.read_bytes() for path in trash.iterdir()} == before
    assert statuses(copy)["Class2D/job003/"] == "Succeeded"
    books, names = ProjectFolder(copy), {path.name for path in job.iterdir()}
    delete(books, [books.job("3")])
    assert not os.path.lexists(job)
    assert {path.name for path in trash.iterdir()} == names
    restore(books, "Class2D/job003/")
    assert {path.name for path in job.iterdir()} == names
    assert not temporary_files(copy) + temporary_files(other_disk)
    delete(books, [books.job("3")])
    assert not os.path.lexists(job)


@pytest.mark.parametrize("harsh", [False, True])
def test_jobs_on_another_disk_are_cleaned(copy, other_disk, harsh):
    shutil.move(copy / "Extract", other_disk / "x123")
    (copy / "Extract").symlink_to(other_disk / "x123")
    books = ProjectFolder(copy)
    moves = cleaning(books, [books.job("2")], harsh=harsh)
    wanted = {path: path.stat() for move in moves for path in [copy / move.path] if path.is_file()}
    clean(books, moves)
    assert moves
    for moved in moves:
        assert not (copy / moved.path).exists()
        assert (copy / "Trash" / moved.path).exists()
    for path, was in wanted.items():
        now = (copy / "Trash" / path.relative_to(copy)).stat()
        assert (now.st_size, now.st_mtime_ns) == (was.st_size, was.st_mtime_ns)


def test_a_full_disk_keeps_a_job_that_is_moved_there(copy, other_disk, monkeypatch):
    """The copy is given up, and the source is as it was."""

    def full(source, target, follow_symlinks):
        Path(target).write_bytes(b"part")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("boxwood.io.atomic.shutil.copy2", full)
    source = other_disk / "job"
    shutil.copytree(copy / "Extract/job002", source, copy_function=shutil.copy)
    names = sorted(path.name for path in source.rglob("*"))
    with pytest.raises(JobError, match=r"No space left on device.*make room"):
        move(source, copy / "Trash/job")
    assert sorted(path.name for path in source.rglob("*")) == names
    assert list((copy / "Trash").iterdir()) == []


def test_a_link_in_the_place_of_a_folder_in_the_trash(copy):
    """What it leads to is not the job's: neither that nor what was there before is touched."""
    books, link = ProjectFolder(copy), copy / "Extract/job002/Micrographs"
    clean(books, cleaning(books, [books.job("2")], harsh=True))
    micrographs = sorted((copy / "Micrographs").iterdir())
    link.symlink_to(copy / "Micrographs")
    clear(books, "Extract/job002/")
    trash = copy / "Trash/Extract/job002"
    assert (trash / "Micrographs").is_symlink()
    assert len(list(trash.glob("Micrographs.1/*.mrcs"))) == 3
    assert sorted((copy / "Micrographs").iterdir()) == micrographs


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


def test_files_that_may_have_been_cut_off_are_named(copy, capfd, monkeypatch):
    """At the end of a row or in its last number nothing else shows it."""
    monkeypatch.chdir(copy)
    said = "the last line has no end"
    words = ["extract", "--micrographs", "micrographs_ctf.star", "--coordinates", "AutoPick/job001"]
    assert main([*words, "--box-size", "64"]) == 0
    err = capfd.readouterr().err
    assert said not in err and "empty" not in err
    cut, empty = (copy / f"AutoPick/job001/Micrographs/micrograph_00{i}_autopick.star" for i in (1, 2))
    cut.write_text(cut.read_text().rstrip()[:-1])
    empty.write_text("")
    assert main([*words, "--box-size", "64"]) == 0
    err = capfd.readouterr().err
    assert f"{cut.relative_to(copy)}: {said}" in err
    assert f"{empty.relative_to(copy)}: empty" in err
    path = copy / "Extract/job002/particles.star"
    rows = path.read_text().rstrip().split("\n")
    path.write_text("\n".join(rows[:-5]))
    assert main(["select-particles", "--particles", "Extract/job002/particles.star", "--split", "2"]) == 0
    assert f"Extract/job002/particles.star: {said}" in capfd.readouterr().err


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
