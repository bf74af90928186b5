"""Expectations of settings by a table, against counting them one by one."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from boxwood.picking.tuning import Curve, Particles, Peaks, distinct, expected, gains, gather

SEEDS = st.integers(0, 2**32 - 1)


def random_peaks(rng, most=25):
    n = int(rng.integers(0, most))
    return Peaks(*rng.uniform(0, 10, (2, n)), rng.permutation(n).astype(float))


def random_particles(rng, most=15):
    n = int(rng.integers(0, most))
    return Particles(*rng.uniform(0, 10, (2, n)), rng.random(n))


def good(peaks, particles, distance):
    """The picks in their order, each taking the likeliest particle that is left."""
    free, total = dict(enumerate(particles.probability)), 0.0
    for i in np.argsort(-peaks.level):
        near = [
            j
            for j in free
            if np.hypot(*(np.array([particles.x[j], particles.y[j]]) - (peaks.x[i], peaks.y[i]))) <= distance
        ]
        if near:
            total += free.pop(max(near, key=free.get))
    return total


@given(SEEDS, st.floats(0.1, 4))
def test_every_threshold_is_a_cut_of_one_list(seed, distance):
    rng = np.random.default_rng(seed)
    lists = {name: random_peaks(rng) for name in "ab"}
    particles = {name: random_particles(rng) for name in "ab"}
    thresholds = np.arange(-1.5, 26.0)
    curve = expected(lists, particles, thresholds, distance)
    for t, picks, found in zip(thresholds, curve.picks, curve.good, strict=True):
        cut = {
            n: Peaks(*(getattr(p, a)[p.level >= t] for a in ("x", "y", "level"))) for n, p in lists.items()
        }
        assert picks == sum(map(len, cut.values()))
        np.testing.assert_allclose(found, sum(good(cut[n], particles[n], distance) for n in cut), atol=1e-12)
    np.testing.assert_allclose(curve.particles, sum(p.probability.sum() for p in particles.values()))


@given(SEEDS, st.floats(0.1, 4))
def test_a_particle_is_found_once(seed, distance):
    rng = np.random.default_rng(seed)
    peaks, particles = random_peaks(rng), random_particles(rng)
    sure = Particles(particles.x, particles.y, np.ones(len(particles.x)))
    found = gains(peaks, sure, distance)
    assert set(found) <= {0.0, 1.0}
    assert found.sum() <= len(sure.x)


@given(SEEDS, st.floats(0, 3))
def test_every_peak_has_a_place(seed, distance):
    rng = np.random.default_rng(seed)
    lists = [random_peaks(rng) for _ in range(3)]
    places = gather(lists, distance)
    for peaks in lists:
        for x, y in zip(peaks.x, peaks.y, strict=True):
            assert np.hypot(places.x - x, places.y - y).min() <= distance
    gaps = np.hypot(places.x[:, None] - places.x, places.y[:, None] - places.y)
    assert (gaps[~np.eye(len(places), dtype=bool)] > distance).all()


def test_no_settings_and_no_micrographs():
    assert len(gather([], 1.0)) == 0
    curve = expected({}, {}, np.arange(3.0), 1.0)
    assert (curve.picks == 0).all()
    assert (curve.f1 == 0).all()


def test_of_two_places_of_one_particle_the_likelier_stays():
    found = distinct(np.array([0.0, 1.0, 9.0]), np.zeros(3), np.array([0.4, 0.8, 0.1]), 2.0)
    np.testing.assert_array_equal(found.x, [1.0, 9.0])
    np.testing.assert_array_equal(found.probability, [0.8, 0.1])


def test_value_of_missed_particles_and_of_bad_picks():
    curve = Curve(np.array([0.0, 1.0]), np.array([10, 2]), np.array([6.0, 2.0]), 8.0)
    np.testing.assert_allclose(curve.precision, [0.6, 1.0])
    np.testing.assert_allclose(curve.recall, [0.75, 0.25])
    np.testing.assert_allclose(curve.f1, [2 * 0.6 * 0.75 / 1.35, 0.4])
    np.testing.assert_allclose(curve.value(1.0), [6 - 4, 2])
    assert np.argmax(curve.value()) == 0
    assert np.argmax(curve.value(5.0)) == 1


def test_of_equal_thresholds_the_middle_one():
    curve = Curve(np.arange(5.0), np.array([9, 4, 4, 4, 1]), np.array([4.0, 4, 4, 4, 1]), 4.0)
    assert curve.best() == 2
    assert Curve(np.arange(2.0), np.zeros(2, int), np.zeros(2), 0.0).best() in (0, 1)
