"""RELION's programs and ours go on from each other's iterations of a 2D classification."""

import re
import shutil
import subprocess

import numpy as np
import pytest

from boxwood.io.class2d_data import read_assignments
from boxwood.io.class2d_model import read_model
from boxwood.io.particles import ParticleSet
from boxwood.io.star import read_star
from boxwood.jobs.registry import load_job
from boxwood.jobs.runner import run_job

REFINE = shutil.which("relion_refine")
pytestmark = [
    pytest.mark.relion,
    pytest.mark.skipif(REFINE is None, reason="relion_refine is not installed"),
]
COUNT, BOX, PIXEL = 150, 32, 7.0
JOB = load_job("class2d")
SETTINGS = {
    "particles": "particles.star",
    "classes": 3,
    "iterations": 5,
    # The soft edge of 5 pixels must end within the box for both masks to be the same.
    "mask_diameter": 140.0,
    "psi_step": 12.0,
    "offset_range": 3.0,
    "recipe": "relion",
    "offset_prior": "relion",
    "noise_groups": "micrograph",
}
LAST = 4


def relion(program, *words, cwd):
    return subprocess.run(
        [program, *map(str, words)], cwd=cwd, check=True, capture_output=True, text=True
    ).stdout


@pytest.fixture(scope="module")
def both(tmp_path_factory, make_particles):
    """A project with five iterations of ours in `ours`, and RELION's fifth after our fourth in `theirs`."""
    folder = tmp_path_factory.mktemp("both")
    make_particles(folder, COUNT, BOX, PIXEL)
    run_job(JOB, SETTINGS, project=folder, output="ours", threads=2)
    (folder / "theirs").mkdir()
    words = ("--continue", f"ours/run_it{LAST:03d}_optimiser.star", "--o", "theirs/run", "--iter", LAST + 1)
    relion("relion_refine", *words, "--j", 1, cwd=folder)
    return folder


def iteration(folder, number):
    table = ParticleSet.read(folder / f"run_it{number:03d}_data.star").table
    return read_model(folder / f"run_it{number:03d}_model.star"), read_assignments(table)


def same_poses(us, they):
    """Agreement of two assignments: share of equal classes, and of equal poses among the sure ones of these.

    Every program turns and shifts its grid by a random part of a step, so one pose may lie one step apart.
    """
    same = us.class_number == they.class_number
    sure = same & (us.largest_probability > 0.5) & (they.largest_probability > 0.5)
    assert sure.sum() > COUNT / 2
    turn = np.abs((us.psi_deg - they.psi_deg + 180) % 360 - 180)[sure]
    shift = np.abs(us.origin_angstrom - they.origin_angstrom).max(axis=1)[sure]
    psi_step, offset_step = SETTINGS["psi_step"], PIXEL
    return same.mean(), (turn <= psi_step).mean(), (shift <= 1.5 * offset_step).mean()


def test_relion_reads_tables_and_averages(both):
    name = f"ours/run_it{LAST:03d}"
    printed = relion("relion_star_printtable", f"{name}_model.star", "data_model_groups", cwd=both)
    groups = read_star(both / f"{name}_model.star")["model_groups"]
    rows = [line.split() for line in printed.splitlines()]
    assert [row[1] for row in rows] == groups["rlnGroupName"].tolist() == ["m0.mrc", "m1.mrc", "m2.mrc"]
    stats = relion("relion_image_handler", "--i", f"{name}_classes.mrcs", "--stats", cwd=both)
    averages = read_model(both / f"{name}_model.star").averages
    for line, average in zip(stats.splitlines(), averages, strict=True):
        values = dict(re.findall(r"(\w+) ?= ([-\d.e]+)", line))
        # Six digits are printed.
        assert float(values["avg"]) == pytest.approx(average.mean(dtype=np.float64), rel=5e-5, abs=1e-6)
        assert float(values["maxval"]) == pytest.approx(average.max(), rel=5e-6)
        assert float(values["angpix"]) == PIXEL


def test_relion_goes_on_from_our_files_as_we_do(both):
    ours, us = iteration(both / "ours", LAST + 1)
    theirs, they = iteration(both / "theirs", LAST + 1)
    classes, turns, shifts = same_poses(us, they)
    assert classes > 0.85 and turns > 0.85 and shifts > 0.95
    # Both averaged the same particles: spectra and averages differ by the few that went elsewhere.
    np.testing.assert_allclose(ours.noise[:, 2:15], theirs.noise[:, 2:15], rtol=0.15)
    np.testing.assert_allclose(ours.shares, theirs.shares, atol=0.05)
    for one, two in zip(ours.averages, theirs.averages, strict=True):
        assert np.corrcoef(one.ravel(), two.ravel())[0, 1] > 0.93
    # Contrast depends on how sharp the random grid of either program makes the poses of a small class.
    ratio = ours.averages.std(axis=(1, 2)) / theirs.averages.std(axis=(1, 2))
    assert np.average(ratio, weights=ours.shares) == pytest.approx(1, abs=0.2)
    assert np.corrcoef(us.norm, they.norm)[0, 1] > 0.8
    # Three digits are left of a spectrum that is written as 0.001xxx.
    for model in (ours, theirs):
        low = np.s_[:, 1:4]
        ratio = model.regularisation * model.tau2[low] / model.sigma2[low]
        np.testing.assert_allclose(model.ssnr[low], ratio, rtol=2e-3)


def test_we_go_on_from_relions_files(both, tmp_path):
    values = {"iterations": LAST + 2, "recipe": "relion", "offset_prior": "relion"}
    start = f"theirs/run_it{LAST + 1:03d}_optimiser.star"
    run_job(JOB, values, project=both, output=tmp_path, continue_from=start, threads=2)
    _, they = iteration(both / "theirs", LAST + 1)
    _, us = iteration(tmp_path, LAST + 2)
    classes, turns, shifts = same_poses(us, they)
    assert classes > 0.85 and turns > 0.85 and shifts > 0.95
