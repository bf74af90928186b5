"""RELION's programs and ours go on from each other's iterations of a 2D classification."""

import re
import shutil
import subprocess
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from boxwood.class2d import classify2d
from boxwood.class2d.sampling import coarser_steps
from boxwood.imaging.fourier import shift
from boxwood.io.class2d_data import read_assignments
from boxwood.io.class2d_model import read_model
from boxwood.io.class2d_optimiser import fine_sampling
from boxwood.io.particles import ParticleSet
from boxwood.io.star import read_star
from boxwood.jobs.class2d.files import IterationFiles, read_iteration
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
    "recipe": "plain",
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


def likeness(one, two):
    """Largest correlation of two averages within a pixel.

    Poses follow the grids, which either program moves at random by up to half a step, and averages poses.
    """
    axis = np.linspace(-1, 1, 9)
    moves = np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2)
    moved = shift(np.broadcast_to(one, (len(moves), *one.shape)), moves).reshape(len(moves), -1)
    return np.corrcoef(moved, two.ravel())[-1, :-1].max()


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
    # The plain model lets a class die, in both programs; of a few particles there is no average to compare.
    alive = (ours.shares > 0.02) & (theirs.shares > 0.02)
    assert ours.shares[alive].sum() > 0.95 and theirs.shares[alive].sum() > 0.95
    for one, two in zip(ours.averages[alive], theirs.averages[alive], strict=True):
        assert likeness(one, two) > 0.93
    # Contrast depends on how sharp the random grid of either program makes the poses of a small class.
    ratio = ours.averages.std(axis=(1, 2)) / theirs.averages.std(axis=(1, 2))
    assert np.average(ratio, weights=ours.shares) == pytest.approx(1, abs=0.2)
    assert np.corrcoef(us.norm, they.norm)[0, 1] > 0.8
    # Three digits are left of a spectrum that is written as 0.001xxx.
    for model in (ours, theirs):
        low = np.s_[alive, 1:4]
        ratio = model.regularisation * model.tau2[low] / model.sigma2[low]
        np.testing.assert_allclose(model.ssnr[low], ratio, rtol=2e-3)


def test_relion_keeps_improving_what_we_began(both, tmp_path):
    """From our second iteration, with averages of hardly any detail, RELION gets to good ones."""
    start = ("--continue", "ours/run_it002_optimiser.star", "--o", tmp_path / "run")
    # Without the random move of the grid, which makes the likelihood go up and down a little.
    relion("relion_refine", *start, "--iter", 7, "--perturb", 0, "--j", 1, cwd=both)
    models = [read_star(tmp_path / f"run_it{i:03d}_model.star")["model_general"] for i in range(3, 8)]
    # RELION adds up the likelihood of the frequencies it uses: comparable where these are the same.
    pairs = [(a, b) for a, b in pairwise(models) if a["rlnCurrentImageSize"] == b["rlnCurrentImageSize"]]
    assert len(pairs) >= 3
    assert all(b["rlnLogLikelihood"] > a["rlnLogLikelihood"] for a, b in pairs)
    assert models[-1]["rlnAveragePmax"] > models[0]["rlnAveragePmax"]
    assert models[-1]["rlnCurrentResolution"] < models[0]["rlnCurrentResolution"]


def test_we_go_on_from_relions_files(both, tmp_path):
    values = {"iterations": LAST + 2, "recipe": "plain", "offset_prior": "relion"}
    start = f"theirs/run_it{LAST + 1:03d}_optimiser.star"
    run_job(JOB, values, project=both, output=tmp_path, continue_from=start, threads=2)
    _, they = iteration(both / "theirs", LAST + 1)
    _, us = iteration(tmp_path, LAST + 2)
    classes, turns, shifts = same_poses(us, they)
    assert classes > 0.85 and turns > 0.85 and shifts > 0.95


def test_accuracies_are_relions(both):
    """RELION's next iteration says how accurate the averages of our last one are."""
    ours = iteration(both / "ours", LAST)[0]
    theirs = iteration(both / "theirs", LAST + 1)[0]
    used = theirs.accuracy_deg < 999
    assert used.sum() >= 2
    # RELION goes on in steps of 0.05 to 2 degrees and 0.1 pixels and takes the first that is too far, by ten
    # random particles, which are 5 % off; a shift of theirs is along an axis, ours in the mean direction.
    np.testing.assert_allclose(ours.accuracy_deg[used], 0.95 * theirs.accuracy_deg[used], rtol=0.15)
    middle = theirs.accuracy_angstrom[used] - 0.05 * PIXEL
    np.testing.assert_allclose(ours.accuracy_angstrom[used], middle, rtol=0.2)


def test_relion_passes_over_our_tables(both):
    name = f"ours/run_it{LAST:03d}"
    printed = relion("relion_star_printtable", f"{name}_model.star", "data_boxwood_classes", cwd=both)
    table = read_star(both / f"{name}_model.star")["boxwood_classes"]
    assert [int(line.split()[0]) for line in printed.splitlines()] == table["rlnClassNumber"].tolist()
    (both / "quiet").mkdir()
    words = ("--continue", f"{name}_optimiser.star", "--o", "quiet/run", "--iter", LAST + 1, "--j", "1")
    said = subprocess.run(["relion_refine", *map(str, words)], cwd=both, capture_output=True, text=True)
    assert said.returncode == 0 and "bw" not in said.stderr


@pytest.mark.parametrize(
    ("option", "words"), [({"skip_rotate": True}, "--skip_rotate"), ({"align": False}, "--skip_align")]
)
def test_what_is_not_searched_is_kept_by_both(both, tmp_path, option, words):
    start = f"ours/run_it{LAST:03d}_optimiser.star"
    run_job(JOB, option, project=both, output=tmp_path / "us", continue_from=start, threads=2)
    (tmp_path / "they").mkdir()
    output = ("--o", tmp_path / "they/run", "--iter", LAST + 1, "--j", 1, words)
    relion("relion_refine", "--continue", start, *output, cwd=both)
    before = iteration(both / "ours", LAST)[1]
    (ours, us), (theirs, they) = (iteration(tmp_path / who, LAST + 1) for who in ("us", "they"))
    for one in (us, they):
        np.testing.assert_allclose(one.psi_deg, before.psi_deg, atol=1e-4)
    assert (us.class_number == they.class_number).mean() > 0.95
    shift = np.abs(us.origin_angstrom - they.origin_angstrom).max(axis=1)
    assert (shift <= (1.5 * PIXEL if "skip_rotate" in option else 1e-3)).mean() > 0.95
    np.testing.assert_allclose(ours.shares, theirs.shares, atol=0.03)


def test_the_first_iteration_by_correlation_is_relions(both, tmp_path, monkeypatch):
    """Both start from the same averages and give every particle to its largest normalised correlation."""
    (tmp_path / "they").mkdir()
    rows = "".join(f"{k + 1}@ours/run_it{LAST:03d}_classes.mrcs\n" for k in range(3))
    (tmp_path / "refs.star").write_text(f"data_\n\nloop_\n_rlnReferenceImage\n{rows}")
    words = (
        *("--i", "particles.star", "--o", tmp_path / "they/run", "--ref", tmp_path / "refs.star"),
        *("--firstiter_cc", "--ini_high", 4 * PIXEL, "--iter", 1, "--K", 3, "--ctf", "--pad", 2, "--norm"),
        *("--particle_diameter", SETTINGS["mask_diameter"], "--flatten_solvent", "--zero_mask", "--scale"),
        *("--psi_step", 2 * SETTINGS["psi_step"], "--offset_range", SETTINGS["offset_range"]),
        *("--offset_step", 2, "--oversampling", 1, "--tau2_fudge", 2, "--j", 1, "--random_seed", 1),
    )
    relion("relion_refine", *words, cwd=both)
    monkeypatch.chdir(both)
    state, data = read_iteration(IterationFiles("ours/run", 0))
    first = read_model(tmp_path / "they/run_it000_model.star").averages
    start = replace(state.result, model=replace(state.result.model, references=first, limit=14))
    parameters = replace(state.settings.parameters, first_iteration_cc=True, iterations=1)
    ours = list(
        classify2d(
            data.source(), data.ctf_rows, pixel_size_angstrom=PIXEL, parameters=parameters, start=start,
            micrographs=data.scale_group, noise_groups=data.noise_group, threads=2,
        )
    )[-1]  # fmt: skip
    theirs, they = iteration(tmp_path / "they", 1)
    same = ours.assignments.class_index + 1 == they.class_number
    turn = np.abs((ours.assignments.psi_deg - they.psi_deg + 180) % 360 - 180)[same]
    # Ours is weighted by the noise spectrum, and its grid is turned by a part of a step.
    assert same.mean() > 0.85 and (turn <= SETTINGS["psi_step"]).mean() > 0.7
    # An average of two particles is mostly noise, which poses half a step apart do not have in common.
    large = np.flatnonzero(ours.model.shares > 0.1)
    assert len(large) > 1
    for k in large:
        assert likeness(ours.class_averages[k], theirs.averages[k]) > 0.93


def test_steps_become_as_coarse_as_relions(both, tmp_path):
    """RELION's steps of an iteration follow from the accuracies that it reports with it."""
    fine = {**SETTINGS, "psi_step": 2.0, "offset_step": 0.25, "iterations": 2}
    run_job(JOB, fine, project=both, output=tmp_path / "us", threads=2)
    (tmp_path / "they").mkdir()
    words = (
        "--continue",
        tmp_path / "us/run_it001_optimiser.star",
        "--o",
        tmp_path / "they/run",
        "--iter",
        2,
    )
    relion("relion_refine", *words, "--allow_coarser_sampling", "--j", 1, cwd=both)
    model = iteration(tmp_path / "they", 2)[0]
    accuracies = model.accuracy_deg.min(), model.accuracy_angstrom.min() / PIXEL
    psi, offset = coarser_steps(2.0, 0.25, SETTINGS["offset_range"], *accuracies)
    table = read_star(tmp_path / "they/run_it002_sampling.star")["sampling_general"]
    used_psi, _, used_offset = fine_sampling(table, 1)
    assert psi > 2.0 and offset > 0.25
    # RELION's coarse step, twice the fine one, divides 360 degrees; six digits are in the files.
    assert used_psi <= psi and np.ceil(180 / psi - 1e-6) == pytest.approx(180 / used_psi)
    assert used_offset == pytest.approx(offset * PIXEL, rel=1e-5)
