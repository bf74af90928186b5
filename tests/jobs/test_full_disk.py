"""Disks that are full or write-protected: nothing is lost, and the message names the file and what to do."""

import ctypes
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from small import AUTOPICK, BOXES, CLASSES, assert_same_particles, statuses, temporary_files

import boxwood
from boxwood.errors import JobError
from boxwood.io.particles import ParticleSet
from boxwood.jobs.api import Project
from boxwood.jobs.runner import run_job
from boxwood.project.folder import ProjectFolder


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


class Said:
    """A reporter that keeps warnings."""

    def __init__(self):
        self.warnings = []

    def event(self, kind, **data):
        if kind == "warning":
            self.warnings.append(data["text"])


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


@pytest.fixture
def unforeseen(monkeypatch):
    """A disk that is filled by others, after it was asked for its room."""
    monkeypatch.setattr("boxwood.jobs.room.free_bytes", lambda _: None)


def test_extraction_that_will_not_fit_is_refused_before_it_begins(whole, small_disk):
    folder = on(small_disk(12_000_000), whole, 100_000, "Class2D", "Extract")
    refused = r"particles of 32 px take \d+ kB, and the disk of Extract/job\d+/ has [\d.]+ kB free; make room"
    with pytest.raises(JobError, match=refused):
        Project(folder, threads=1).extract(**BOXES)
    assert not list(folder.glob("Extract/**/*.mrcs")) and not temporary_files(folder)
    (folder.parent / "filler").unlink()
    name = ProjectFolder(folder).pipeline().jobs()[-1].name
    result = Project(folder, threads=1).extract(continue_from=name)
    assert_same_particles(result.output, whole / "Extract/job002")


def test_extraction_that_may_not_fit_is_told(whole, small_disk):
    """Picks with a low figure of merit take no room."""
    folder = on(small_disk(12_000_000), whole, 100_000, "Class2D", "Extract")
    said = Said()
    with pytest.raises(JobError, match="no particle was extracted"):
        Project(folder, threads=1, reporter=said).extract(**BOXES, min_fom=1e6)
    assert "particles of 32 px take up to " in said.warnings[0]


def test_a_classification_that_will_not_fit_is_refused_before_it_begins(whole, small_disk):
    particles = "Extract/job002/particles.star"
    one = sum(path.stat().st_size for path in (whole / "Class2D/job003").glob("run_it003_*"))
    folder = on(small_disk(12_000_000), whole, one // 2, "Class2D")
    with pytest.raises(JobError, match=r"the files of one iteration of \d+ particles take .*has .* free"):
        Project(folder, threads=1).class2d(particles=particles, **CLASSES)
    assert not list(folder.glob("Class2D/job*/run_it*"))
    said = Said()
    (folder.parent / "filler").unlink()
    fill(folder.parent, 2 * one)
    with pytest.raises(JobError, match="No space left on device"):
        Project(folder, threads=1, reporter=said).class2d(particles=particles, **CLASSES)
    assert any("the files of 4 iterations of" in text for text in said.warnings)


@pytest.mark.parametrize("leave", [30_000, 100_000, 200_000])
def test_a_full_disk_fails_the_job_and_it_goes_on_with_more_room(whole, small_disk, leave, unforeseen):
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


def test_a_classification_goes_on_from_its_last_whole_iteration(whole, small_disk, unforeseen):
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

    said = Said()
    result = run_job(replace(toy, run=fills), {"micrographs": "micrographs.star"}, project=disk,
                     reporter=said)  # fmt: skip
    assert result.files["coordinates"].exists()
    last = said.warnings[-1]
    assert "ended (succeeded), but the project could not be told" in last and "make room" in last
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
