"""Particles that cannot be used, and groups of which none can, are named by the job; the others go on."""

from dataclasses import replace

import numpy as np
import pytest

from boxwood.errors import InputError
from boxwood.io.mrc import read_stack, write_stack
from boxwood.io.particles import ParticleSet
from boxwood.jobs.registry import load_job
from boxwood.jobs.reporter import JsonLines
from boxwood.jobs.runner import run_job

JOB = load_job("class2d")
COUNT, BOX, PIXEL = 90, 32, 7.0
SETTINGS = {
    "particles": "particles.star",
    "classes": 3,
    "iterations": 1,
    "mask_diameter": 180.0,
    "psi_step": 18.0,
    "offset_range": 2.0,
}


def test_bad_particles_are_named_and_get_no_class(tmp_path, make_particles):
    table = make_particles(tmp_path, COUNT, BOX, PIXEL)
    path = tmp_path / "Extract/job007/m1.mrcs"
    images = read_stack(path)[:]
    images[0, 5, 5], images[1] = np.nan, 3.0
    write_stack(path, images, PIXEL)
    particles = ParticleSet.read(tmp_path / "particles.star")
    lost = "000009@Extract/job007/gone.mrcs"
    row = int(np.flatnonzero(table["rlnMicrographName"] == "MotionCorr/job002/m2.mrc")[0])
    particles.table.loc[row, "rlnImageName"] = lost
    particles.write(tmp_path / "particles.star")
    result = run_job(JOB, SETTINGS, project=tmp_path, output="out", threads=2)
    named = dict(result.bad)
    assert set(named) == {
        "000001@Extract/job007/m1.mrcs",
        "000002@Extract/job007/m1.mrcs",
        "Extract/job007/gone.mrcs",
    }
    out = ParticleSet.read(tmp_path / "out/run_it001_data.star").table
    unused = out.loc[out["rlnClassNumber"] == 0, "rlnImageName"]
    assert sorted(unused) == ["000001@Extract/job007/m1.mrcs", "000002@Extract/job007/m1.mrcs", lost]


@pytest.mark.parametrize("says_size", [True, False])
@pytest.mark.parametrize("group", [1, 2])
@pytest.mark.parametrize("fault", ["missing", "nan"])
def test_an_optics_group_without_usable_images(tmp_path, make_particles, fault, group, says_size):
    """The first group, whose pixels the averages have, or another one."""
    make_particles(tmp_path, COUNT, BOX, PIXEL)
    particles = ParticleSet.read(tmp_path / "particles.star")
    particles.optics = particles.optics.loc[[0, 0]].reset_index(drop=True)
    particles.optics["rlnOpticsGroup"] = [1, 2]
    particles.optics["rlnOpticsGroupName"] = ["one", "two"]
    if not says_size:
        del particles.optics["rlnImageSize"]
    lost = particles.table["rlnMicrographName"] == "MotionCorr/job002/m1.mrc"
    particles.table["rlnOpticsGroup"] = np.where(lost, group, 3 - group)
    particles.write(tmp_path / "particles.star")
    stack = tmp_path / "Extract/job007/m1.mrcs"
    if fault == "nan":
        write_stack(stack, np.full_like(read_stack(stack)[:], np.nan), PIXEL)
    else:
        stack.unlink()
    result = run_job(JOB, SETTINGS, project=tmp_path, output="out", threads=2)
    assert result.bad and all("m1.mrcs" in name for name, _ in result.bad)
    out = ParticleSet.read(tmp_path / "out/run_it001_data.star").table
    assert ((out["rlnClassNumber"] == 0) == (out["rlnMicrographName"] == "MotionCorr/job002/m1.mrc")).all()


@pytest.mark.parametrize("factor", [1e-8, 1e10])
def test_a_grey_scale_beyond_float32_is_refused_or_normalised(tmp_path, make_particles, factor):
    make_particles(tmp_path, COUNT, BOX, PIXEL)
    for stack in (tmp_path / "Extract/job007").glob("*.mrcs"):
        write_stack(stack, read_stack(stack)[:] * np.float32(factor), PIXEL)
    with pytest.raises(InputError, match=r"have a standard deviation of .*; use --normalise"):
        run_job(JOB, SETTINGS, project=tmp_path, output="out", threads=2)
    result = run_job(JOB, {**SETTINGS, "normalise": True}, project=tmp_path, output="again", threads=2)
    assert not result.bad


def test_an_option_without_effect_is_said(tmp_path, make_particles):
    make_particles(tmp_path, COUNT, BOX, PIXEL)
    log = tmp_path / "log.txt"
    with log.open("w") as stream:
        reporter = JsonLines(stream)
        run_job(JOB, {**SETTINGS, "mini_batches": 7}, project=tmp_path, output="out", reporter=reporter)
    assert "--mini-batches has no effect without algorithm vdam" in log.read_text()


def test_the_stacks_must_have_the_size_the_star_file_says(tmp_path, make_particles):
    make_particles(tmp_path, COUNT, BOX, PIXEL)
    particles = ParticleSet.read(tmp_path / "particles.star")
    replace(particles, optics=particles.optics.assign(rlnImageSize=16)).write(tmp_path / "wrong.star")
    with pytest.raises(InputError, match=f"says that images have 16 px .* the stacks have {BOX} px"):
        run_job(JOB, {**SETTINGS, "particles": "wrong.star"}, project=tmp_path, output="out")
