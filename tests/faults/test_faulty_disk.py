"""Disks that return EIO, and file systems that read and write less than asked for."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from small import assert_same_particles, statuses, temporary_files

import boxwood
from boxwood.io.particles import ParticleSet

SOURCE = Path(__file__).with_name("faulty_io.c")
EXTRACT = ["extract", "--micrographs", "micrographs_ctf.star", "--coordinates", "AutoPick/job001"]
EXTRACT += ["--box-size", "64", "--rescale", "32"]
CLASS2D = ["class2d", "--particles", "Extract/job002/particles.star", "--classes", "2", "--iterations", "3"]
CLASS2D += ["--mask-diameter", "160", "--psi-step", "18", "--offset-range", "2"]
EIO = "Input/output error"


@pytest.fixture(scope="session")
def shim(tmp_path_factory):
    """faulty_io.c, compiled."""
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None or not sys.platform.startswith("linux"):
        pytest.skip("needs Linux and a C compiler")
    library = tmp_path_factory.mktemp("shim") / "faulty_io.so"
    subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-o", library, SOURCE, "-ldl"], check=True)
    return library


@pytest.fixture
def run(shim, copy):
    """Run `boxwood` in the project on such a disk: (exit code, output and errors)."""

    def start(words, mode="none", path="", after=0):
        environment = {
            **os.environ,
            "PYTHONPATH": str(Path(boxwood.__file__).parents[1]),
            "LD_PRELOAD": str(shim),
            "FAULTY_MODE": mode,
            "FAULTY_PATH": path,
            "FAULTY_AFTER": str(after),
        }
        command = [sys.executable, "-m", "boxwood", *words, "--threads", "2"]
        done = subprocess.run(command, cwd=copy, env=environment, capture_output=True, text=True)
        return done.returncode, done.stdout + done.stderr

    return start


@pytest.mark.parametrize("after", [0, 200_000])
def test_a_micrograph_that_cannot_be_read_is_named(run, copy, after):
    """In its header, or in the middle."""
    code, said = run(EXTRACT, "read", "micrograph_002.mrc", after)
    assert code == 0
    assert "1 input left out: Micrographs/micrograph_002.mrc" in said and EIO in said
    stacks = [path.name for path in (copy / "Extract/job004/Micrographs").glob("*.mrcs")]
    assert sorted(stacks) == ["micrograph_001.mrcs", "micrograph_003.mrcs"]


def test_a_table_that_cannot_be_read_ends_the_job(run, copy):
    code, said = run(EXTRACT, "read", "micrographs_ctf.star", 100)
    assert code == 1 and EIO in said and "Traceback" not in said
    assert statuses(copy).get("Extract/job004/", "Failed") == "Failed"


@pytest.mark.parametrize("after", [0, 30_000])
def test_a_stack_that_cannot_be_read_gets_no_weight(run, copy, after):
    code, said = run(CLASS2D, "read", "Extract/job002/Micrographs/micrograph_002.mrcs", after)
    assert code == 0 and EIO in said
    table = ParticleSet.read(copy / "Class2D/job004/run_it003_data.star").table
    lost = table["rlnClassNumber"] == 0
    assert lost.any() and set(table.loc[lost, "rlnMicrographName"]) == {"Micrographs/micrograph_002.mrc"}


@pytest.mark.parametrize(
    ("mode", "path"),
    [("write", "micrograph_002.mrcs"), ("sync", "particles.star"), ("write", "default_pipeline.star")],
)
def test_what_cannot_be_written_is_named_and_leaves_nothing(run, copy, whole, mode, path):
    code, said = run(EXTRACT, mode, path, 100)
    assert code == 1 and f"{path} cannot be written ({EIO}); look after that disk" in said
    assert not temporary_files(copy) and not (copy / ".relion_lock").exists()
    assert not (copy / "Extract/job004" / path).exists()
    assert not (copy / "Extract/job004/Micrographs" / path).exists()
    begun = "Extract/job004/" in statuses(copy)
    assert run(["extract", "--continue", "Extract/job004"] if begun else EXTRACT)[0] == 0
    assert_same_particles(copy / "Extract/job004", whole / "Extract/job002")


@pytest.mark.parametrize("words", [EXTRACT, CLASS2D])
def test_short_reads_and_writes_change_nothing(run, copy, words):
    code, said = run(words, "short", str(copy), 700)
    assert code == 0, said
    code, said = run(["rerun", "4"])
    assert code == 0 and "files of results are the same" in said, said
