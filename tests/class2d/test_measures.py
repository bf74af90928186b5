"""What is said of each class beside its average, against direct calculation."""

import numpy as np
import pytest

from boxwood.backends import get_backend
from boxwood.class2d.accuracy import LARGEST_DEG, LARGEST_PX, LOG_ODDS, expected_accuracies
from boxwood.class2d.expectation import PreparedReferences
from boxwood.class2d.half_sets import by_half, frc_rings, half_set_frc
from boxwood.class2d.measures import ClassMeasures, overall_accuracies, posterior_sums
from boxwood.class2d.statistics import Statistics
from boxwood.imaging.polar import PolarGrid

BOX, LIMIT, RINGS = 48, 14, 15
GRID = PolarGrid(BOX, 18.0, 3.0, 20)
BLOBS = np.array([[5.0, 1.0, 2.0, 1.0], [-6.0, 4.0, 1.5, 0.7], [1.0, -7.0, 2.5, 0.8], [0.0, 3.0, 1.8, -0.6]])


def image(turn_deg=0.0, shift=(0.0, 0.0)):
    """Gaussian blobs, turned and shifted without interpolation."""
    y, x = np.mgrid[:BOX, :BOX] - BOX // 2
    c, s = np.cos(np.deg2rad(turn_deg)), np.sin(np.deg2rad(turn_deg))
    out = np.zeros((BOX, BOX))
    for bx, by, width, height in BLOBS:
        px, py = c * bx - s * by + shift[0], s * bx + c * by + shift[1]
        out += height * np.exp(-((x - px) ** 2 + (y - py) ** 2) / (2 * width**2))
    return out


def loss(other, sigma2):
    """Expected loss of log-likelihood, equation 2, summed over the Cartesian disc."""
    f = np.fft.fftfreq(BOX, 1 / BOX)
    inside = np.hypot(*np.meshgrid(f, f)) <= LIMIT
    return 0.5 * (np.abs(np.fft.fft2(other - image()))[inside] ** 2).sum() / sigma2


@pytest.mark.parametrize("sigma2", [20.0, 300.0])
def test_accuracies_lose_the_log_likelihood_they_say(sigma2):
    references = np.stack([image(), np.zeros((BOX, BOX))]).astype(np.float32)
    prepared = PreparedReferences.of(references, GRID, RINGS, 0.0, get_backend("cpu"), 1)
    weights = np.full((3, RINGS), 1 / sigma2)
    rotation, shift = expected_accuracies(prepared.harmonics, weights, GRID, LIMIT)
    assert np.isnan(rotation[1]) and np.isnan(shift[1])
    assert 0.1 < rotation[0] < LARGEST_DEG / 2 and 0.1 < shift[0] < LARGEST_PX / 2
    assert loss(image(rotation[0]), sigma2) == pytest.approx(LOG_ODDS, rel=0.03)
    # In the mean over directions; the blobs are wider than the shift, so two of them are enough.
    mean = np.mean([loss(image(shift=d), sigma2) for d in ((shift[0], 0), (0, shift[0]))])
    assert mean == pytest.approx(LOG_ODDS, rel=0.03)


def test_accuracies_end_where_relion_ends():
    harmonics = np.zeros((1, GRID.coefficients(RINGS)), complex)
    ring, m = GRID.packed_order(RINGS)
    harmonics[0, (m == 0) & (ring == 2)] = 1.0  # a ring: no rotation shows, and little of a shift
    rotation, shift = expected_accuracies(harmonics, np.full((2, RINGS), 1e-6), GRID, LIMIT)
    assert rotation == [LARGEST_DEG] and shift == [LARGEST_PX]


def halves_of(one, two, denominator):
    """Statistics whose numerators are given on the samples of rings, (k, samples) each."""
    out = []
    for samples in (one, two):
        k = len(samples)
        low = np.zeros((k, RINGS, 3), complex)
        low[:, :, 0] = denominator * GRID.ring_samples[:RINGS]
        zeros = dict.fromkeys(
            ("class_mass", "class_square", "class_entropy", "residual", "group_count", "offset_square",
             "signal_image", "signal_model", "count", "log_likelihood", "largest", "entropy"), np.zeros(k)
        )  # fmt: skip
        out.append(Statistics(numerator=GRID.harmonics(samples, RINGS), denominator=low, **zeros))
    return tuple(out)


def test_frc_is_what_the_signal_to_noise_ratio_says():
    rng = np.random.default_rng(4)
    backend, n = get_backend("cpu"), 40
    noise = rng.standard_normal((2 * n + 1, BOX, BOX)).astype(np.float32)
    samples, _ = backend.polar_transform(noise, None, np.ones((BOX, BOX), np.float32), GRID.positions, 1)
    samples = samples[:, : GRID.samples(RINGS)]
    one, two = (samples[0] + 0.5 * samples[1 + half : 1 + half + n] for half in (0, n))
    frc = half_set_frc(halves_of(one, two, 3.0), GRID)
    # Signal 1, noise 1/4 in each half. About pi r independent coefficients a ring, n trials.
    error = 1 / np.sqrt(n * np.pi * np.arange(1, RINGS + 1))
    assert np.all(np.abs(frc.mean(axis=0) - 0.8)[2:] < 5 * error[2:] + 0.1)
    same = half_set_frc(halves_of(one, one, 3.0), GRID)
    np.testing.assert_allclose(same, 1.0, rtol=1e-12)
    other = half_set_frc(halves_of(samples[1 : 1 + n], samples[1 + n :], 3.0), GRID)
    assert np.all(np.abs(other.mean(axis=0)) < 5 * error)
    none = half_set_frc(halves_of(one, 0 * two, 0.0), GRID)
    assert not none.any()


def test_the_last_ring_of_a_correlation():
    frc = np.array([[0.9, 0.6, 0.4, 0.9], [0.4, 0.9, 0.9, 0.9], [0.9, 0.9, 0.8, 0.7]])
    assert frc_rings(frc).tolist() == [2, 0, 4]
    assert ClassMeasures.none(3, 4).frc_rings.tolist() == [0, 0, 0]


def test_every_particle_is_in_one_half():
    rng = np.random.default_rng(0)
    half, indices = rng.integers(0, 2, 5000), np.sort(rng.choice(5000, 3100, replace=False))
    parts = list(by_half(indices, half, 512))
    assert all((half[part] == which).all() and len(part) <= 512 for which, part in parts)
    np.testing.assert_array_equal(np.sort(np.concatenate([part for _, part in parts])), indices)
    assert list(by_half(indices, np.zeros(5000, int), 512))[-1][0] == 0


def test_effective_size_and_entropy_of_known_posteriors():
    sure, torn = np.tile([1.0, 0, 0, 0], (8, 1)), np.tile([0, 0.5, 0.5, 0], (6, 1))
    p = np.concatenate([sure, torn])
    square, entropy = posterior_sums(p)
    mass = p.sum(axis=0)
    np.testing.assert_allclose(mass[:3] ** 2 / square[:3], [8, 6, 6])
    np.testing.assert_allclose(entropy[:3] / mass[:3], [0, np.log(2), np.log(2)])
    assert square[3] == entropy[3] == 0


def test_the_best_of_the_usual_classes_speaks_for_all():
    measures = ClassMeasures.none(3, 4)
    assert overall_accuracies(measures, np.full(3, 1 / 3)) == (np.inf, np.inf)
    known = ClassMeasures(
        *[np.zeros(3)] * 2, np.zeros((3, 4)), np.array([2.0, 3, 1]), np.array([0.5, 0.4, 0.1])
    )
    assert overall_accuracies(known, np.array([0.5, 0.45, 0.05])) == (2.0, 0.4)
