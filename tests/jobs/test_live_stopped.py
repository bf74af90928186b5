"""`live` stopped, by wish or by force, and gone on with."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from microscope import JOB, LIVE, NAME, PIXEL, Microscope, live, micrographs

import boxwood
from boxwood.errors import JobAborted
from boxwood.io.mrc import read_stack, write_stack
from boxwood.io.particles import MicrographSet, ParticleSet
from boxwood.io.star import read_star
from boxwood.jobs.class2d.files import IterationFiles, read_iteration
from boxwood.jobs.live.run import FINISH
from boxwood.jobs.registry import load_job
from boxwood.jobs.runner import run_job
from boxwood.simulate.gaussians import beta_galactosidase
from boxwood.simulate.rotations import rotation_matrices


def read_state_of(result):
    return read_iteration(IterationFiles.of(result.files["optimiser"]))[0]


COMMAND = [sys.executable, "-m", "boxwood", "live"]


def start(*words):
    environment = {"PYTHONPATH": str(Path(boxwood.__file__).parents[1]), "PATH": "/usr/bin:/bin"}
    return subprocess.Popen([*COMMAND, *words, "--threads", "1"], env=environment, stdout=-3, stderr=-3)


def test_asked_to_finish_it_takes_what_is_there(microscope):
    for i in range(12):
        microscope.write(NAME.format(i))
    microscope.list(*map(NAME.format, range(12)))
    microscope.clock.at(30, lambda: (JOB / FINISH).touch())
    result = live(stop_after=None)
    assert result.values["micrographs"] == 12
    assert read_star(JOB / "live.star")["live_general"]["bwState"].iloc[0] == "ended"


def test_the_first_ctrl_c_finishes(microscope):
    for i in range(12):
        microscope.write(NAME.format(i))
    microscope.list(*map(NAME.format, range(12)))
    microscope.clock.at(30, lambda: os.kill(os.getpid(), signal.SIGINT))
    assert live(stop_after=None).values["micrographs"] == 12


def test_aborted_it_goes_on_with_what_has_come_since(microscope):
    for i in range(12):
        microscope.write(NAME.format(i))
    microscope.list(*map(NAME.format, range(8)))
    microscope.clock.at(130, lambda: (JOB / "RELION_JOB_ABORT_NOW").touch())
    with pytest.raises(JobAborted, match="--continue"):
        live(stop_after=None)
    before = set(micrographs().query("bwLiveState == 'done'").index)
    assert len(before) == 8
    Path(NAME.format(2)).unlink()  # what was used is needed no more
    microscope.list(*map(NAME.format, range(8, 12)))
    result = live(continue_from=JOB, stop_after=1, memory_gib=0.5)
    assert result.values["micrographs"] == 12 and not result.bad
    assert read_state_of(result).settings.parameters.memory_gib == 0.5
    assert not ParticleSet.read(JOB / "particles.star").table["rlnImageName"].duplicated().any()


def test_killed_twice_it_uses_every_micrograph_once(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    microscope = Microscope()
    for i in range(24):
        microscope.write(NAME.format(i))
    microscope.list(*map(NAME.format, range(24)))
    fast = {**LIVE, "settle": 0, "poll": 0.1, "stop_after": 0}
    words = [f"--{name.replace('_', '-')}={value}" for name, value in fast.items()]
    undisturbed = run_job(load_job("live"), fast, threads=1, output="undisturbed")
    for stacks, more in ((6, words), (14, ["--continue", str(JOB)])):
        process = start(*more)
        while len(list(JOB.glob("Micrographs/*.mrcs"))) < stacks and process.poll() is None:
            time.sleep(0.01)
        assert process.poll() is None, "it ended before it was killed"
        process.send_signal(signal.SIGKILL)
        process.wait()
    result = run_job(load_job("live"), {}, threads=1, continue_from=JOB)
    tables = []
    for run in (result, undisturbed):
        table = ParticleSet.read(run.files["particles"]).table
        names = table["rlnImageName"].str.replace(str(JOB), "undisturbed")
        tables.append(table.assign(rlnImageName=names).sort_values("rlnImageName", ignore_index=True))
    assert len(tables[0]) and tables[0].equals(tables[1])
    assert result.values["micrographs"] == 24 and (micrographs()["bwTimeExtracted"] > 0).all()
    for stack in Path("undisturbed/Micrographs").glob("*.mrcs"):
        np.testing.assert_array_equal(read_stack(JOB / "Micrographs" / stack.name)[:], read_stack(stack)[:])


def test_continued_a_pattern_keeps_the_pixel_size_with_which_it_began(microscope):
    """Though a file has come whose name is sorted first, and whose header says something else."""
    for i in range(1, 13):
        microscope.write(NAME.format(i))
    options = {**LIVE, "micrographs": None, "watch": "Micrographs/*.mrc"}
    before = run_job(load_job("live"), options, threads=2)
    (JOB / "live.star").unlink()  # as if it had been killed before it could say anything
    write_stack(Path(NAME.format(0)), microscope.pixels(0)[None], PIXEL / 2)
    for i in (0, 13):
        if i:
            microscope.write(NAME.format(i))
        microscope.dated(NAME.format(i))
    result = run_job(load_job("live"), {}, threads=2, continue_from=JOB)
    assert (before.values["micrographs"], result.values["micrographs"]) == (12, 14)
    particles = ParticleSet.read(result.files["particles"])
    assert particles.optics["rlnImagePixelSize"].tolist() == [PIXEL]
    assert MicrographSet.read(JOB / "micrographs.star").pixel_size_of_groups() == {1: PIXEL}
    assert (micrographs()[["bwTimeArrived", "bwTimeExtracted", "bwTimeClassified"]] > 0).all(axis=None)


def test_references_pick_with_what_the_first_micrographs_taught(microscope):
    """The noise is learned once; continued, the job picks with what it stored."""
    views = rotation_matrices(np.random.default_rng(0).uniform(0, 180, (3, 3)))
    write_stack(Path("references.mrcs"), beta_galactosidase().project(views, 36, PIXEL), PIXEL)
    for i in range(9):
        microscope.write(NAME.format(i))
    microscope.list(*map(NAME.format, range(7)))
    result = live(references=Path("references.mrcs"), learn_from=3, begin_with=20)
    assert result.values["micrographs"] == 7
    picks = [read_star(path)[""] for path in sorted(JOB.rglob("m*_autopick.star"))]
    assert all(table["rlnClassNumber"].isin((1, 2, 3)).all() for table in picks)
    assert 25 < sum(map(len, picks)) < 55  # of 42 particles
    stored = (JOB / "picking_model.star").read_bytes()
    microscope.list(*map(NAME.format, range(7, 9)))
    assert live(continue_from=JOB).values["micrographs"] == 9
    assert (JOB / "picking_model.star").read_bytes() == stored


def test_adaptive_picking_waits_for_what_it_learns_from_and_learns_once(microscope):
    """Continued, the job picks with what it stored."""
    for i in range(9):
        microscope.write(NAME.format(i))
    microscope.list(NAME.format(0), NAME.format(1))
    waiting = []
    microscope.clock.at(200, lambda: waiting.extend(JOB.rglob("m*_autopick.star")))
    microscope.clock.at(200, lambda: microscope.list(*map(NAME.format, range(2, 7))))
    result = live(method="adaptive", learn_from=6, begin_with=20)
    assert result.values["micrographs"] == 7 and not waiting
    picks = [read_star(path)[""] for path in sorted(JOB.rglob("m*_autopick.star"))]
    assert 25 < sum(map(len, picks)) < 55  # of 42 particles
    stored = (JOB / "picking_model.star").read_bytes()
    microscope.list(*map(NAME.format, range(7, 9)))
    assert live(continue_from=JOB).values["micrographs"] == 9
    assert (JOB / "picking_model.star").read_bytes() == stored


@pytest.mark.relion
@pytest.mark.skipif(shutil.which("relion_refine") is None, reason="RELION is not installed")
def test_relion_goes_on_with_what_it_made(microscope):
    for i in range(12):
        microscope.write(NAME.format(i))
    microscope.list(*map(NAME.format, range(12)))
    result = live()
    last = int(result.files["optimiser"].name[6:9])
    words = [
        "--continue",
        result.files["optimiser"],
        "--iter",
        str(last + 1),
        "--o",
        JOB / "again",
        "--j",
        "1",
    ]
    subprocess.run(["relion_refine", *map(str, words)], check=True, capture_output=True)
    ours, theirs = (
        ParticleSet.read(path).table["rlnImageName"]
        for path in (result.files["particles"], JOB / f"again_it{last + 1:03d}_data.star")
    )
    assert len(ours) > 50 and sorted(ours) == sorted(theirs)
