"""RELION's iteration, and ours by the recipe "relion" from the same files: the same numbers."""

import shutil
import subprocess

import numpy as np
import pytest

from boxwood.io.class2d_data import read_assignments
from boxwood.io.class2d_model import read_model
from boxwood.io.mrc import write_stack
from boxwood.io.particles import ParticleSet
from boxwood.io.star import read_star
from boxwood.jobs.registry import load_job
from boxwood.jobs.runner import run_job

pytestmark = [
    pytest.mark.relion,
    pytest.mark.skipif(shutil.which("relion_refine") is None, reason="relion_refine is not installed"),
]
JOB = load_job("class2d")
PIXEL = 7.0
# RELION's steps are those of the first pass, twice ours; the offset's is in pixels.
COMMON = (
    "relion_refine --i particles.star --o theirs/run --dont_combine_weights_via_disc --preread_images --pad 2"
    " --ctf --tau2_fudge 2 --flatten_solvent --zero_mask --oversampling 1 --psi_step 12 --offset_step 2"
    " --norm --scale --j 1 --random_seed 1"
)


def relion(folder, iterations, words):
    (folder / "theirs").mkdir()
    command = f"{COMMON} --iter {iterations} {words}"
    subprocess.run(command.split(), cwd=folder, check=True, capture_output=True)


def go_on(folder, iteration, **values):
    """The model and the particles of the iteration after `iteration` of RELION's, ours and theirs."""
    settings = {"iterations": iteration + 1, "recipe": "relion", "offset_prior": "relion", **values}
    start = f"theirs/run_it{iteration:03d}_optimiser.star"
    run_job(JOB, settings, project=folder, output=f"ours{iteration}", continue_from=start, threads=2)
    roots = (folder / who / f"run_it{iteration + 1:03d}" for who in (f"ours{iteration}", "theirs"))
    return [
        (read_model(f"{root}_model.star"), read_assignments(ParticleSet.read(f"{root}_data.star").table))
        for root in roots
    ]


def check_poses(us, they, sure, pixel_size, psi_step=6.0, offset_step=1.0):
    """Of the particles that are `sure` of it: the same class, and a pose within one fine step."""
    assert (us.class_number == they.class_number)[sure].mean() >= 0.97
    turn = np.abs((us.psi_deg - they.psi_deg + 180) % 360 - 180)[sure]
    shift = np.abs(us.origin_angstrom - they.origin_angstrom).max(axis=1)[sure]
    assert ((turn <= 1.001 * psi_step) & (shift <= 1.001 * offset_step * pixel_size)).mean() >= 0.95


def check(ours, us, theirs, they, *, sure_at_least=0, surer_than=0.5):
    sure = they.largest_probability > surer_than
    assert sure.sum() >= sure_at_least
    check_poses(us, they, sure, ours.pixel_size_angstrom)
    used = np.flatnonzero(theirs.shares > 0)
    likeness = [np.corrcoef(ours.averages[k].ravel(), theirs.averages[k].ravel())[0, 1] for k in used]
    assert np.average(likeness, weights=theirs.shares[used]) >= 0.995
    np.testing.assert_allclose(ours.noise, theirs.noise, rtol=0.02)
    for one, two in zip(ours.resolution_angstrom[used], theirs.resolution_angstrom[used], strict=True):
        length = ours.averages.shape[1] * ours.pixel_size_angstrom
        assert abs(length / one - length / two) < 1.5


@pytest.fixture(scope="module")
def simulated(tmp_path_factory, make_particles):
    """Eleven iterations of RELION's over 150 particles of three views."""
    folder = tmp_path_factory.mktemp("agreement")
    make_particles(folder, 150, 32, PIXEL)
    relion(folder, 11, "--K 3 --particle_diameter 140 --offset_range 3")
    return folder


@pytest.mark.parametrize(("iteration", "sure"), [(4, 20), (10, 100)])
def test_an_iteration_is_relions(simulated, iteration, sure):
    (ours, us), (theirs, they) = go_on(simulated, iteration)
    check(ours, us, theirs, they, sure_at_least=sure)
    # Nor is more than the digits of the files between them, but for the averages.
    assert (us.class_number == they.class_number).all()
    np.testing.assert_allclose(us.origin_angstrom, they.origin_angstrom, atol=1e-3)
    assert (us.significant == they.significant).mean() > 0.97
    np.testing.assert_allclose(us.largest_probability, they.largest_probability, atol=5e-3)
    np.testing.assert_allclose(us.norm, they.norm, rtol=1e-4)
    np.testing.assert_allclose(ours.shares, theirs.shares, atol=1e-4)
    np.testing.assert_allclose(ours.noise, theirs.noise, rtol=1e-3)
    np.testing.assert_allclose(ours.groups.scale, theirs.groups.scale, rtol=1e-4)
    np.testing.assert_allclose(ours.prior_offset_angstrom, theirs.prior_offset_angstrom, atol=1e-3)
    assert ours.sigma_offset_angstrom == pytest.approx(theirs.sigma_offset_angstrom, rel=1e-4)
    assert ours.norm_average == pytest.approx(theirs.norm_average, rel=1e-4)
    assert ours.largest_probability == pytest.approx(theirs.largest_probability, rel=1e-3)
    # Past its first digits RELION's files have fewer than six.
    low = np.s_[:, : theirs.image_size // 2]
    np.testing.assert_allclose(ours.tau2[low], theirs.tau2[low], rtol=2e-3, atol=1e-9)
    np.testing.assert_allclose(ours.ssnr[low], theirs.ssnr[low], rtol=2e-3, atol=1e-5)


def test_the_random_move_of_the_grid_is_relions(simulated):
    """The same numbers without looking at those of the iteration that is to be repeated."""
    go_on(simulated, 6)
    ours, theirs = (
        read_star(simulated / who / "run_it007_sampling.star")["sampling_general"]
        for who in ("ours6", "theirs")
    )
    for name in ("rlnSamplingPerturbInstance", "rlnPsiStep", "rlnOffsetStep", "rlnOffsetRange"):
        assert ours[name] == pytest.approx(theirs[name], abs=2e-5), name


def test_the_polar_recipe_is_another_algorithm(simulated):
    """What the recipe "relion" is for: "plain" takes its own ways, which the comparison sees."""
    (ours, us), (theirs, they) = go_on(simulated, 4, recipe="plain")
    assert np.abs(ours.noise / theirs.noise - 1).max() > 0.02
    assert not np.allclose(us.largest_probability, they.largest_probability, atol=5e-2)


def test_relion_goes_on_from_ours_as_from_its_own(simulated, tmp_path):
    go_on(simulated, 9)
    found = []
    for who in ("ours9", "theirs"):
        root = tmp_path / who
        start = ("--continue", f"{who}/run_it010_optimiser.star", "--o", root, "--iter", 11, "--j", 1)
        subprocess.run(["relion_refine", *map(str, start)], cwd=simulated, check=True, capture_output=True)
        found.append(read_assignments(ParticleSet.read(f"{root}_it011_data.star").table))
    check_poses(*found, found[1].largest_probability > 0.5, PIXEL)


@pytest.mark.data
def test_an_iteration_over_real_particles_is_relions(shared_data, tmp_path):
    """60 particles of one micrograph of beta-galactosidase; RELION 3.1 reads no half-precision stacks."""
    source = ParticleSet.read(shared_data / "bgal10204/particles.star")
    name = source.table["rlnMicrographName"].min()
    table = source.table[source.table["rlnMicrographName"] == name].head(60).reset_index(drop=True)
    particles = ParticleSet(source.optics, table, source=source.source)
    images = particles.images().read(np.arange(len(table))).astype(np.float32)
    pixel = float(source.pixel_sizes()[0])
    write_stack(tmp_path / "particles.mrcs", images, pixel)
    table = table.assign(rlnImageName=[f"{i + 1:06d}@particles.mrcs" for i in range(len(table))])
    ParticleSet(source.optics, table).write(tmp_path / "particles.star", dialect="3.1")
    relion(tmp_path, 3, "--K 2 --particle_diameter 200 --offset_range 5")
    (ours, us), (theirs, they) = go_on(tmp_path, 2)
    # So few iterations make none sure.
    check(ours, us, theirs, they, sure_at_least=60, surer_than=0.0)
