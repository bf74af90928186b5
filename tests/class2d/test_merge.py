"""Classes of one view become one class, others stay apart."""

from dataclasses import fields

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from boxwood.backends import get_backend
from boxwood.class2d import classify2d
from boxwood.class2d.merge import find_duplicates, merge
from boxwood.class2d.model import Model
from boxwood.class2d.parameters import Class2DParameters
from boxwood.class2d.statistics import Statistics
from boxwood.errors import InputError
from boxwood.imaging.polar import PolarGrid
from boxwood.simulate import simulate_particles

BOX, RINGS, CLASSES, PARTICLES = 48, 15, 4, 20
GRID = PolarGrid(BOX, 18.0, 3.0, 20)
BACKEND = get_backend("cpu")


def picture(seed, turn_deg=0.0, shift=(0.0, 0.0)):
    """Gaussian blobs, turned and then shifted without interpolation."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:BOX, :BOX] - BOX // 2
    c, s = np.cos(np.deg2rad(turn_deg)), np.sin(np.deg2rad(turn_deg))
    out = np.zeros((BOX, BOX))
    for bx, by, width, height in rng.uniform((-8, -8, 1.5, 0.5), (8, 8, 2.5, 1.5), (6, 4)):
        px, py = c * bx - s * by + shift[0], s * bx + c * by + shift[1]
        out += height * np.exp(-((x - px) ** 2 + (y - py) ** 2) / (2 * width**2))
    return out.astype(np.float32)


def sums(pictures, sigma2, seed):
    """Sums over two halves of PARTICLES images a class, which show the class in noise of power sigma2."""
    rng = np.random.default_rng(seed)
    area = 2 * np.pi * np.arange(1, RINGS + 1)
    to_sum = np.repeat(area, GRID.ring_samples[:RINGS] // 2)
    shape = (CLASSES,)
    zeros = {f.name: np.zeros(shape) for f in fields(Statistics)}
    halves = []
    for _ in range(2):
        noise = rng.standard_normal((CLASSES, BOX, BOX)) * np.sqrt(sigma2 / BOX**2 / PARTICLES)
        noisy = (pictures + noise).astype(np.float32)
        samples = BACKEND.polar_transform(noisy, None, np.ones((BOX, BOX), np.float32), GRID.positions, 1)[0]
        samples = samples[:, : GRID.samples(RINGS)] * (PARTICLES / sigma2) * to_sum
        low = np.zeros((CLASSES, RINGS, 3), complex)
        low[:, :, 0] = PARTICLES / sigma2 * area
        mass = np.full(shape, float(PARTICLES))
        halves.append(
            Statistics(
                **zeros
                | {"numerator": GRID.harmonics(samples, RINGS), "denominator": low, "class_mass": mass}
            )
        )
    return tuple(halves)


def model(pictures):
    samples = BACKEND.polar_transform(pictures, None, np.ones((BOX, BOX), np.float32), GRID.positions, 1)[0]
    tau2 = np.tile(GRID.ring_mean(np.abs(samples) ** 2, GRID.rings).mean(axis=0), (CLASSES, 1))
    return Model(
        references=pictures, shares=np.full(CLASSES, 1 / CLASSES), sigma2=np.ones((1, GRID.rings)), tau2=tau2,
        ssnr=tau2, sigma_offset_px=2.0, limit=RINGS - 1, norm=np.ones(1), mean_norm=1.0, scale=np.ones(1),
    )  # fmt: skip


@settings(max_examples=10, deadline=None)
@given(
    st.integers(0, 10**6),
    st.floats(-180, 180),
    st.integers(-2, 2),
    st.integers(-2, 2),
    st.sampled_from([30.0, 300.0]),
)
def test_the_same_view_is_found_turned_and_shifted(seed, turn, dx, dy, sigma2):
    pictures = np.stack([picture(seed), picture(seed + 1), picture(seed, turn, (dx, dy)), picture(seed + 2)])
    halves = sums(pictures, sigma2, seed)
    found = find_duplicates(halves, model(pictures), GRID, BACKEND, 1)
    assert [{d.kept, d.other} for d in found] == [{0, 2}]
    total = halves[0] + halves[1]
    merged = merge(total, found, GRID)
    (d,) = found
    assert merged.class_mass[d.other] == 0 and not merged.numerator[d.other].any()
    assert merged.class_mass.sum() == total.class_mass.sum()
    # Both classes have the same weights, so the sum is twice what the one that is kept has, but for noise.
    weight = total.denominator[0, 0, 0].real / (2 * np.pi)
    ring, _ = GRID.packed_order(RINGS)
    difference = np.abs(merged.numerator[d.kept] - 2 * total.numerator[d.kept])
    noise = np.sqrt(weight / GRID.ring_samples[ring]) * 2 * np.pi * (ring + 1)
    signal = np.abs(total.numerator[d.kept]).max()
    assert (difference <= 6 * noise + 0.02 * signal).all()
    untouched = [k for k in range(CLASSES) if k not in (d.kept, d.other)]
    assert (merged.numerator[untouched] == total.numerator[untouched]).all()


@pytest.mark.parametrize("seed", range(3))
def test_views_that_differ_by_more_than_noise_stay_apart(seed):
    pictures = np.stack([picture(seed), picture(seed), picture(seed + 10), picture(seed + 20)])
    pictures[1, 20:26, 26:30] += 0.3  # a small domain more
    assert find_duplicates(sums(pictures, 1.0, seed), model(pictures), GRID, BACKEND, 1) == []
    # With so much noise nothing is known of the domain, and one average predicts more.
    found = find_duplicates(sums(pictures, 1e3, seed), model(pictures), GRID, BACKEND, 1)
    assert {0, 1} in [{d.kept, d.other} for d in found]


def test_more_classes_than_views_end_as_few():
    simulated = simulate_particles(200, 32, 7.0, classes=3, snr=0.5, seed=2)
    runs = {}
    for merging in (False, True):
        *_, result = classify2d(
            simulated.images, simulated.ctf_rows, pixel_size_angstrom=7.0, classes=8, iterations=16,
            mask_diameter_angstrom=150, psi_step_deg=12, offset_range_px=3, merge_duplicates=merging,
            threads=1,
        )  # fmt: skip
        runs[merging] = result
    populated = {merging: int((r.model.shares > 0).sum()) for merging, r in runs.items()}
    assert populated[True] < populated[False] and populated[True] >= 3
    label, view = runs[True].assignments.class_index, simulated.class_index
    purity = sum(np.bincount(view[label == k]).max() for k in np.unique(label)) / len(label)
    assert purity > 0.95
    empty = np.flatnonzero(runs[True].model.shares == 0)
    assert not runs[True].class_averages[empty].any() and not np.isin(label, empty).any()


def test_merging_needs_time_and_halves():
    with pytest.raises(InputError, match="merge_duplicates needs iterations after the last refilling; 4 are"):
        Class2DParameters(merge_duplicates=True, iterations=4)
    with pytest.raises(InputError, match="merge_duplicates is for algorithm em"):
        Class2DParameters(merge_duplicates=True, algorithm="vdam")
    assert list(Class2DParameters(merge_duplicates=True).merging) == [18, 20, 22]
    assert list(Class2DParameters(merge_duplicates=True, iterations=60).merging) == [41, 43, 45]


def test_a_run_that_merges_until_it_has_converged_needs_time_for_both():
    Class2DParameters(merge_duplicates=True, until_converged=True, iterations=60)
    with pytest.raises(InputError, match="after iteration 26 at the earliest, and it has 25"):
        Class2DParameters(merge_duplicates=True, until_converged=True)
