"""Every option of the search does what it says."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from boxwood.backends import get_backend
from boxwood.class2d import Class2DParameters, classify2d
from boxwood.class2d.expectation import PreparedReferences
from boxwood.class2d.maximisation import centring_shifts
from boxwood.class2d.particles import BackgroundNoise
from boxwood.class2d.sampling import coarser_steps
from boxwood.errors import InputError
from boxwood.imaging.centring import centre_of_mass
from boxwood.imaging.masks import soft_circle
from boxwood.imaging.polar import PolarGrid
from boxwood.simulate.particles import simulate_particles

BOX, PIXEL = 32, 7.0
SMALL = Class2DParameters(classes=6, mask_diameter_angstrom=160, psi_step_deg=12, offset_range_px=3)


@pytest.fixture(scope="module")
def data():
    """Images, CTF rows and truth: class, angle in degrees, offset in pixels."""
    p = simulate_particles(200, BOX, PIXEL, classes=3, snr=0.5, max_offset_px=1.5, seed=5)
    return p.images, p.ctf_rows, p.class_index, p.angles_deg[:, 2] % 360, p.offsets_px


def purity(found, truth):
    """Share of particles whose class's majority is their own kind."""
    return sum(np.bincount(truth[found == k]).max(initial=0) for k in set(found)) / len(truth)


def run(data, psi_deg=None, **settings):
    images, rows, *_ = data
    return list(
        classify2d(
            images, rows, pixel_size_angstrom=PIXEL, parameters=SMALL, psi_deg=psi_deg, threads=1, **settings
        )
    )


def test_skip_rotate_keeps_the_angles_and_finds_the_offsets(data):
    _, _, kind, psi, offset = data
    last = run(data, psi, classes=3, iterations=8, skip_rotate=True)[-1]
    assert (last.assignments.psi_deg == psi).all()
    assert purity(last.assignments.class_index, kind) > 0.9
    for k in range(3):
        members = last.assignments.class_index == k
        angle = np.deg2rad(psi[members])
        x, y = (last.assignments.offset_px[members] - offset[members]).T
        # In the frame of the class the remaining offset is the same for all; a grid of 1 px is 0.4 px off.
        rest = np.stack([np.cos(angle) * x - np.sin(angle) * y, np.sin(angle) * x + np.cos(angle) * y], 1)
        assert np.median(np.hypot(*(rest - np.median(rest, axis=0)).T)) < 1.0


def test_first_iteration_cc_is_one_hard_iteration(data):
    soft = run(data, recipe="plain", iterations=1)[-1]
    first, second = run(data, recipe="plain", iterations=2, first_iteration_cc=True)[1:]
    assert first.largest_probability == 1 and first.entropy == 0
    assert soft.largest_probability < 1 and second.largest_probability < 1
    # A score that does not know the grey scale tells nothing of the noise and of the contrast of particles.
    start = run(data, recipe="plain", iterations=1)[0]
    assert (first.model.sigma2 == start.model.sigma2).all() and (first.model.norm == 1).all()
    scaled = (1.5 * data[0], *data[1:])
    again = run(scaled, recipe="plain", iterations=1, first_iteration_cc=True)[-1]
    assert (again.assignments.class_index == first.assignments.class_index).mean() > 0.98


def test_low_frequencies_are_averaged_but_do_not_count(data):
    limit = 40.0
    lowest = int(np.ceil(BOX * PIXEL / limit))
    grid = PolarGrid(BOX, 12.0, 3.0, 12)
    references = run(data, classes=2, iterations=1)[-1].model.references
    whole, high = (
        PreparedReferences.of(references, grid, 10, 0.0, get_backend("cpu"), 1, ring) for ring in (1, lowest)
    )
    ring, _ = grid.packed_order(10)
    assert not high.harmonics[:, ring < lowest - 1].any() and not high.power[:, : lowest - 1].any()
    assert (high.harmonics[:, ring >= lowest - 1] == whole.harmonics[:, ring >= lowest - 1]).all()
    last = run(data, iterations=6, limit_low_resolution_angstrom=limit)[-1]
    assert (last.model.ssnr[:, : lowest - 1].max(axis=0) > 1).all()


def test_initial_resolution_is_the_limit_of_the_first_averages(data):
    f = np.fft.fftfreq(BOX, 1 / BOX)
    radius = np.hypot(*np.meshgrid(f, f))
    beyond = []
    for angstrom, ring in ((16.0, 14), (45.0, 5)):
        model = run(data, initial_resolution_angstrom=angstrom, iterations=1)[0].model
        power = (np.abs(np.fft.fft2(model.references)) ** 2).mean(axis=0)
        beyond.append(power[(radius > 8) & (radius < 13)].mean() / power[(radius > 1) & (radius < 4)].mean())
        assert model.limit == min(ring + 10, BOX // 2 - 2)
    # The edge of the mask brings a hundredth of the amplitude back.
    assert beyond[1] < 1e-3 and beyond[0] > 100 * beyond[1]


def test_offsets_are_not_bound_to_the_grid(data):
    """Each iteration moves the whole grid, for all particles alike, by at most half a step."""
    moves = []
    for result in run(data, classes=2, iterations=3)[1:]:
        places = np.unique(result.sampling.offsets % 1)
        assert places.tolist() == [0.5]
        away = (result.assignments.offset_px - places + 0.5) % 1 - 0.5
        np.testing.assert_allclose(away, np.broadcast_to(away[0], away.shape), atol=1e-9)
        moves.append(away[0])
    assert len(np.unique(np.round(moves, 6))) == 6


def test_steps_are_coarser_while_particles_cannot_be_placed_better(data):
    assert coarser_steps(6.0, 1.0, 5.0, np.inf, np.inf) == (6.0, 1.0)
    assert coarser_steps(6.0, 1.0, 5.0, 20.0, 2.0) == (16.0, 1.6)
    assert coarser_steps(6.0, 1.0, 5.0, 7.0, 1.2) == (6.0, 1.0)
    assert coarser_steps(6.0, 1.0, 5.0, 90.0, 10.0) == (36.0, 2.375)
    settings = {"psi_step_deg": 2.0, "offset_step_px": 0.25, "iterations": 3}
    results = run(data, allow_coarser_sampling=True, **settings)
    assert results[1].sampling.psi == 180 and results[1].sampling.offset_step_px == 0.25
    for before, after in pairwise(results[1:]):
        shares, measures = before.model.shares, before.measures
        usual = shares >= 0.5 / len(shares)
        rotation, shift = measures.rotation_deg[usual].min(), measures.shift_px[usual].min()
        assert 2.0 < after.sampling.psi_step_deg <= 0.8 * rotation
        assert after.sampling.offset_step_px == pytest.approx(max(0.25, 0.8 * shift))


def test_it_ends_when_nothing_changes(data):
    results = run(data, iterations=60, recipe="plain", classes=3, until_converged=True)
    last = results[-1]
    assert last.iteration < 60 and last.convergence.reached
    assert not any(r.convergence.reached for r in results[:-1])
    # Six iterations more bring hardly anything of what has been gained so far.
    parameters = replace(SMALL, classes=3, recipe="plain", iterations=last.iteration + 6)
    more = list(
        classify2d(data[0], data[1], pixel_size_angstrom=PIXEL, start=last, threads=1, parameters=parameters)
    )
    gained = last.log_likelihood - results[1].log_likelihood
    assert more[-1].log_likelihood - last.log_likelihood < 0.1 * gained


@pytest.mark.parametrize("settings", [{}, {"skip_rotate": True}, {"align": False}, {"search": "exhaustive"}])
def test_the_most_probable_poses_of_every_particle(data, settings):
    psi = data[3] if settings else None
    result = run(data, psi, iterations=4, recipe="plain", save_posterior=6, **settings)[-1]
    posterior, best = result.posterior, result.assignments
    used = posterior.weight > 0
    assert used[:, 0].all() and (np.diff(posterior.weight, axis=1) <= 0).all()
    # Sums of probabilities in single precision.
    assert (posterior.weight.sum(axis=1) < 1 + 1e-5).all() and posterior.weight.sum(axis=1).mean() > 0.5
    np.testing.assert_array_equal(posterior.class_index[:, 0], best.class_index)
    np.testing.assert_allclose(posterior.psi_deg[:, 0], best.psi_deg, rtol=1e-6, atol=1e-4)
    np.testing.assert_allclose(posterior.offset_px[:, 0], best.offset_px, atol=1e-5)
    np.testing.assert_allclose(posterior.weight[:, 0], best.largest, rtol=1e-5)
    assert (posterior.class_index[~used] == -1).all()
    for i in range(len(data[0])):
        poses = np.c_[posterior.class_index[i], posterior.psi_deg[i], posterior.offset_px[i]][used[i]]
        assert len(np.unique(poses, axis=0)) == len(poses)


def test_halves_of_the_particles(data):
    result = run(data, iterations=6)[-1]
    assert (result.measures.frc[:, 1] > 0.5).all()
    assert result.measures.effective_size.sum() == pytest.approx(len(data[0]), rel=0.2)
    assert (result.measures.assignment_entropy < np.log(6)).all()
    assert np.isfinite(result.frc_resolution_angstrom).all()
    rng = np.random.default_rng(0)
    half = rng.integers(0, 2, len(data[0]))
    other = list(
        classify2d(
            data[0], data[1], pixel_size_angstrom=PIXEL, parameters=replace(SMALL, iterations=1),
            half_sets=half, threads=1,
        )
    )[-1]  # fmt: skip
    plain = run(data, iterations=1)[-1]
    np.testing.assert_allclose(other.model.references, plain.model.references, atol=1e-5)
    assert not np.allclose(other.measures.frc, plain.measures.frc)
    with pytest.raises(InputError, match="half_sets has a number 2; expected 0 or 1"):
        next(classify2d(data[0], pixel_size_angstrom=PIXEL, parameters=SMALL, half_sets=2 * half))


def test_limits_must_leave_something():
    with pytest.raises(InputError, match="which leaves nothing between them"):
        replace(SMALL, limit_resolution_angstrom=20.0, limit_low_resolution_angstrom=15.0)


def test_noise_outside_of_the_mask_is_like_that_inside():
    rng = np.random.default_rng(2)
    box, n = 48, 60
    f = np.fft.fftfreq(box)
    colour = 1 / (1 + 8 * np.hypot(*np.meshgrid(f, f)))
    images = np.fft.ifft2(np.fft.fft2(rng.standard_normal((2 * n, box, box))) * colour).real.astype(
        np.float32
    )
    noise, mask = BackgroundNoise(images[:n], seed=3), soft_circle((box, box), 12, 2).astype(np.float32)
    shifts, indices = np.zeros((n, 2), np.int32), np.arange(n)
    filled = noise.fill(images[n:], shifts, mask, indices)
    np.testing.assert_array_equal(filled[:, mask == 1], images[n:, mask == 1])
    outside = mask == 0
    assert not np.isclose(filled[:, outside], images[n:, outside]).mean() > 0.01
    pairs = outside[:, 1:] & outside[:, :-1]
    for values in (lambda x: x[:, outside] ** 2, lambda x: (x[:, :, 1:] * x[:, :, :-1])[:, pairs]):
        # Means over 60 images of 1800 pixels, of which neighbours are alike: good to a few percent.
        assert values(filled).mean() == pytest.approx(values(images).mean(), rel=0.1)
    # Every particle has a noise of its own, whatever batch it comes in, and moves without it.
    again = noise.fill(images[n + 7 : n + 8], np.array([[2, -1]], np.int32), mask, indices[7:8])[0]
    np.testing.assert_array_equal(again[outside], filled[7][outside])
    np.testing.assert_array_equal(again[mask == 1], np.roll(images[n + 7], (-1, 2), (0, 1))[mask == 1])


def test_averages_are_centred_if_asked(data):
    shifted = (np.roll(data[0], (2, -2), axis=(1, 2)), *data[1:])
    off = {}
    for center in (True, False):
        model = run(shifted, iterations=5, center_classes=center, offset_range_px=4.0)[-1].model
        shifts = centring_shifts(model.references, 10.0)
        off[center] = float(model.shares @ np.hypot(*shifts.T))
    assert off[True] < 0.5 * off[False]
    # As in RELION: the centre of mass of what is positive, moved no further than the largest offset.
    image = np.zeros((1, BOX, BOX))
    image[0, BOX // 2 + 3, BOX // 2 - 4], image[0, 0, 0] = 1.0, -5.0
    assert centre_of_mass(image).tolist() == [[3.0, -4.0]]
    np.testing.assert_allclose(centring_shifts(image, 10.0), [[4, -3]])
    np.testing.assert_allclose(centring_shifts(image, 2.5), [[2, -1.5]])


def test_the_plain_recipe_does_not_shut_rings_for_ever():
    """Of few noisy particles a class, every ring is shrunk at first; what the mask spreads keeps it open."""
    p = simulate_particles(600, 48, 5.0, classes=12, snr=0.08, max_offset_px=2.0, seed=3)
    settings = {"classes": 20, "mask_diameter_angstrom": 180, "psi_step_deg": 10, "offset_range_px": 3}
    *_, last = classify2d(
        p.images, p.ctf_rows, pixel_size_angstrom=5.0, iterations=12, recipe="plain", threads=2, **settings
    )
    assert last.resolution_angstrom.min() < 32
