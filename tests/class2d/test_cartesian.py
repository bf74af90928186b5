"""The arithmetic of the recipe "relion", where no RELION is needed; tests/relion compares with RELION."""

from dataclasses import replace

import numpy as np
import pytest

from boxwood.class2d import Class2DParameters, OpticsGroup, classify2d
from boxwood.class2d.cartesian.expectation import significant
from boxwood.class2d.cartesian.images import Preparation
from boxwood.class2d.cartesian.maximisation import next_size, reconstruct
from boxwood.class2d.cartesian.plane import HalfPlane, Lattice
from boxwood.class2d.cartesian.sampling import Grid, c_random, perturbation
from boxwood.class2d.cartesian.step import shells_of
from boxwood.class2d.cartesian.sums import Sums
from boxwood.errors import InputError
from boxwood.imaging.fourier import forward, shift
from boxwood.imaging.spectrum import power_spectrum
from boxwood.simulate import simulate_particles

BOX, SIZE = 32, 20
PIXEL = 7.0
PSI = np.deg2rad(np.arange(0, 360, 12.0) + 2.0)
SMALL = Class2DParameters(
    classes=3,
    iterations=6,
    mask_diameter_angstrom=180.0,
    psi_step_deg=12.0,
    offset_range_px=2.0,
    recipe="relion",
)


@pytest.fixture(scope="module")
def data():
    return simulate_particles(90, BOX, PIXEL, classes=3, snr=1.0, max_offset_px=1.0, seed=2)


def test_random_numbers_are_those_of_the_c_library():
    # What every GNU system gives after srand(1), the manual's default, and after srand(42).
    assert np.rint(c_random(1, 3) * 2147483647).tolist() == [1804289383, 846930886, 1681692777]
    assert np.rint(c_random(42, 2) * 2147483647).tolist() == [71876166, 708592740]


def test_the_grid_moves_on_by_a_quarter_to_a_half_and_comes_round():
    moves = [0.0]
    for iteration in range(1, 200):
        moves.append(perturbation(moves[-1], 1, iteration))
    further = np.diff(moves) % 1
    assert further.min() >= 0.25 and further.max() <= 0.5
    assert min(moves) >= -0.5 and max(moves) < 0.5


def test_fine_samples_lie_around_coarse_ones():
    grid = Grid.of(5.0, 4.0, 1.0, 0.3)
    assert len(grid.psi_deg) == 36 and len(grid.offsets_px) == 13
    around = grid.fine_psi_deg.reshape(-1, 2) - grid.psi_deg[:, None]
    np.testing.assert_allclose(around, np.tile([-2.5, 2.5], (36, 1)))
    around = grid.fine_offsets_px.reshape(-1, 4, 2) - grid.offsets_px[:, None]
    assert (np.abs(np.abs(around) - 0.5) < 1e-9).all() and len(np.unique(np.round(around[0], 6), axis=0)) == 4
    np.testing.assert_allclose(grid.offsets_px - grid.prior_offsets_px, 0.6)


@pytest.mark.parametrize("size", [SIZE, BOX])
def test_a_half_plane_has_every_coefficient_once(size):
    plane = HalfPlane(BOX, size)
    both = {(x, y) for x, y in plane.frequencies.astype(int).tolist()}
    assert len(both) == len(plane.shells) and (np.diff(plane.shells) >= 0).all()
    assert not any((-x, -y) in both for x, y in both if (x, y) != (0, 0))
    image = np.random.default_rng(0).standard_normal((1, BOX, BOX))
    moved = shift(image, np.array([[1.5, -2.0]]))
    phases = plane.phases(np.array([[1.5, -2.0]]))
    inside = plane.shells < BOX // 2  # the highest frequency of an even image has no phase
    expected = plane.of(forward(image)) * phases
    np.testing.assert_allclose(plane.of(forward(moved))[:, inside], expected[:, inside], atol=1e-6)


def test_insertion_is_the_adjoint_of_slicing():
    rng = np.random.default_rng(1)
    plane, lattice = HalfPlane(BOX, SIZE), Lattice(BOX, SIZE)
    reference = lattice.of_images(rng.standard_normal((2, BOX, BOX)))
    slices = lattice.slices(reference, plane, PSI).astype(np.complex128)
    values = rng.standard_normal((2, len(PSI), len(plane.shells))) + 0j
    values[:, :, 0] = 0  # f = 0 has no counterpart and would count once where all others count twice
    inserted = lattice.insert(values, plane, PSI)
    # Each point stands for its conjugate, too, but for those on x = 0, where both are there.
    twice = np.where(np.arange(lattice.edge + 1) == 0, 1.0, 2.0)
    left = 2 * np.einsum("kpm,kpm->", slices, values.conj()).real
    right = np.einsum("kyx,kyx,x->", reference, inserted.conj(), twice).real
    assert left == pytest.approx(right, rel=1e-5)


def blobs(psi_rad):
    """Three Gaussians, seen under an angle; (box, box) float64."""
    y, x = (np.arange(BOX)[:, None] - BOX // 2, np.arange(BOX) - BOX // 2)
    c, s = np.cos(psi_rad), np.sin(psi_rad)
    x, y = c * x - s * y, s * x + c * y
    centres = [(3.0, 1.0, 1.0), (-4.0, 2.0, 0.7), (0.5, -5.0, 1.3)]
    return sum(a * np.exp(-((x - u) ** 2 + (y - v) ** 2) / 4) for u, v, a in centres)


def test_slices_are_transforms_of_turned_references():
    """An image at polar angle theta shows the reference at theta + psi."""
    plane, lattice = HalfPlane(BOX, SIZE), Lattice(BOX, SIZE)
    psi = np.deg2rad(37.0)
    slices = lattice.slices(lattice.of_images(blobs(0.0)[None]), plane, np.array([psi]))[0, 0]
    image = plane.of(forward(np.fft.ifftshift(blobs(psi)[None], axes=(1, 2))))[0]
    error = np.abs(slices - image)[plane.reached]
    assert error.max() < 0.02 * np.abs(image).max()


def test_slices_of_a_reference_give_it_back():
    plane, lattice = HalfPlane(BOX, BOX), Lattice(BOX, BOX)
    images = np.stack([blobs(0.0), 2 * blobs(1.0), blobs(2.0)])
    slices = lattice.slices(lattice.of_images(images), plane, PSI).astype(np.complex128)
    sums = Sums.nothing(3, lattice.shells.shape, (1, BOX // 2 + 1), 1)
    sums.numerator = lattice.insert(3.0 * slices, plane, PSI)
    sums.denominator = lattice.insert(np.full(slices.shape, 3.0), plane, PSI)
    sums.class_mass = np.array([1.0, 2.0, 0.0])
    again = reconstruct(lattice, sums, np.zeros((3, BOX // 2 + 1)))
    for k in range(2):
        np.testing.assert_allclose(again[k], images[k], atol=0.03 * images[k].max())
    assert not again[2].any()


def test_images_are_moved_without_what_leaves_them_coming_back():
    image = np.zeros((1, BOX, BOX))
    image[0, 2, 3] = 1.0
    prepare = Preparation(HalfPlane(BOX, BOX), 100.0)
    for move, left in (((-2, -1), 1.0), ((-5, 0), 0.0)):
        found = prepare(image, np.ones(1), np.array([move]))
        assert (np.abs(found.plain[0, 0]) * BOX**2) == pytest.approx(left, abs=1e-6)
    # Beyond the mask is the mean of what was there.
    noise = np.random.default_rng(3).standard_normal((1, BOX, BOX)) + 5
    found = Preparation(HalfPlane(BOX, BOX), 3.0)(noise, np.ones(1), np.zeros((1, 2), int))
    assert found.masked[0, 0].real == pytest.approx(5, abs=0.3)
    power = power_spectrum(np.fft.ifftshift(noise, axes=(1, 2)))[0]
    assert (found.power[0, 3:10] < 0.5 * power[3:10] * np.bincount(HalfPlane(BOX, BOX).shells)[3:10]).all()


def test_the_significant_are_as_few_as_hold_the_fraction():
    weights = np.array([0.1, 0.6, 0.05, 0.25])
    assert significant(weights, 0.5).tolist() == [False, True, False, False]
    assert significant(weights, 0.8).tolist() == [False, True, False, True]
    assert significant(weights, 0.9999).all()


def test_the_image_size_runs_ahead_of_the_resolution():
    ssnr = np.zeros((2, 33))
    assert next_size(ssnr, 64) == 30  # no less than shell 5 and ten more
    ssnr[1, :13] = 2.0
    assert next_size(ssnr, 64) == 44 and next_size(ssnr, 40) == 40


def test_it_classifies(data):
    results = list(
        classify2d(data.images, data.ctf_rows, pixel_size_angstrom=PIXEL, parameters=SMALL, threads=1)
    )
    last = results[-1]
    assert last.largest_probability > results[1].largest_probability
    assert last.log_likelihood > results[1].log_likelihood
    # Averages show what is there: every used one is a view, somewhere and somehow turned.
    assert last.model.shares.sum() == pytest.approx(1) and len(last.model.shares) == 3
    assert np.isfinite(last.measures.frc).all()
    assert (last.measures.frc[last.measures.effective_size > 5, :3] > 0.5).all()
    assert last.sampling.psi == 30
    shells = last.model.shells
    np.testing.assert_allclose(2.0 * BOX**4 * shells.noise[:, 1 : BOX // 2], last.model.sigma2)
    # Going on from it gives what going on without a stop does.
    again = list(
        classify2d(
            data.images,
            data.ctf_rows,
            pixel_size_angstrom=PIXEL,
            parameters=SMALL,
            threads=1,
            start=results[-2],
        )
    )[-1]
    np.testing.assert_array_equal(again.class_averages, last.class_averages)


def test_bad_particles_get_no_weight_and_no_class(data):
    images = data.images.copy()
    images[7, 3, 3] = np.nan
    last = list(
        classify2d(
            images,
            data.ctf_rows,
            pixel_size_angstrom=PIXEL,
            parameters=replace(SMALL, iterations=1),
            threads=1,
        )
    )[-1]
    assert last.bad == (7,) and last.assignments.class_index[7] == -1
    assert np.isfinite(last.class_averages).all()


def test_shells_of_rings_and_back(data):
    start = next(
        classify2d(data.images, data.ctf_rows, pixel_size_angstrom=PIXEL, parameters=SMALL, threads=1)
    )
    shells = shells_of(start.model, 2.0)
    assert shells.noise.shape[1] == BOX // 2 + 1
    np.testing.assert_allclose(shells.noise[:, 1 : BOX // 2] * 2.0 * BOX**4, start.model.sigma2)
    assert (shells.noise[:, 0] == shells.noise[:, 1]).all() and not shells.prior_offset_angstrom.any()


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"align": False}, "align"),
        ({"algorithm": "vdam"}, "algorithm"),
        ({"zero_mask": False}, "zero_mask"),
        ({"save_posterior": 3}, "save_posterior"),
    ],
)
def test_what_it_does_not_do_is_refused(change, named):
    with pytest.raises(InputError, match=f"{named} is .*use plain or balanced"):
        replace(SMALL, **change)


def test_optics_that_it_does_not_know_are_refused(data):
    optics = (OpticsGroup(BOX, PIXEL, beam_tilt_mrad=(1.0, 0.0), voltage_kv=200.0, cs_mm=1.4),)
    with pytest.raises(InputError, match="one optics group without aberrations"):
        next(classify2d(data.images, data.ctf_rows, optics=optics, parameters=SMALL, threads=1))
