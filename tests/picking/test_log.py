"""Laplacian-of-Gaussian picking: found where the truth is, and unmoved by what should not matter."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from boxwood.errors import InputError
from boxwood.picking import find_peaks, log_fom_maps, pick_log
from boxwood.picking.geometry import Grid, filter_diameters, largest_prime_factor, working_size

PIXEL = 4.0
RANGE = {"min_diameter": 80.0, "max_diameter": 100.0}


def discs(shape, centres, radius=11.0, noise=0.3, seed=0):
    y, x = np.indices(shape)
    image = np.random.default_rng(seed).standard_normal(shape) * noise
    for cy, cx in centres:
        image -= (y - cy) ** 2 + (x - cx) ** 2 < radius**2
    return image.astype(np.float32)


def scattered(shape, n, distance=40, margin=45, seed=0):
    """n centres no nearer to each other than `distance`."""
    rng, found = np.random.default_rng(seed), []
    while len(found) < n:
        c = rng.uniform(margin, np.array(shape) - margin)
        if all(np.hypot(*(c - o)) >= distance for o in found):
            found.append(c)
    return np.array(found)


def as_set(picks):
    return sorted(zip(picks.x.tolist(), picks.y.tolist(), strict=True))


@pytest.mark.parametrize("shape", [(400, 400), (300, 420), (431, 317)])
def test_discs_are_found_at_their_centres_and_size(shape):
    centres = scattered(shape, 20)
    picks = pick_log(discs(shape, centres), PIXEL, **RANGE, threshold_offset=2)
    assert len(picks) == 20
    distance = np.hypot(picks.y[:, None] - centres[:, 0], picks.x[:, None] - centres[:, 1])
    # no sub-pixel fit: at most half a diagonal of the grid, and what the noise adds
    assert distance.min(axis=1).max() <= 0.75 / Grid(shape, working_size(max(shape), PIXEL, 20)).scale + 0.5
    assert len(set(distance.argmin(axis=1))) == 20
    assert set(picks.diameter) <= {80.0, 90.0, 100.0}
    assert (np.diff(picks.fom) <= 0).all()
    assert (picks.fom >= picks.threshold).all()
    assert list(picks.table().columns) == ["x", "y", "fom", "diameter"]


@settings(max_examples=20)
@given(
    seed=st.integers(0, 1000),
    gain=st.floats(1e-3, 1e4),
    offset=st.floats(-1e4, 1e4),
)
def test_grey_scale_does_not_matter(seed, gain, offset):
    image = discs((240, 240), scattered((240, 240), 6, seed=seed), seed=seed).astype(np.float64)
    before = pick_log(image, PIXEL, **RANGE, threshold_offset=1)
    after = pick_log(gain * image + offset, PIXEL, **RANGE, threshold_offset=1)
    # the offset costs digits of the pixels: then only picks well above the threshold are certain
    if abs(offset) <= 100 * gain:
        assert as_set(before) == as_set(after)
        assert np.allclose(before.fom, after.fom, rtol=1e-4)
    flipped = pick_log(-gain * image, PIXEL, **RANGE, threshold_offset=1, white_particles=True)
    assert as_set(before) == as_set(flipped)


def test_integer_pixels_are_pixels():
    image = np.round(discs((240, 240), scattered((240, 240), 5)) * 100 + 1000)
    want = as_set(pick_log(image, PIXEL, **RANGE))
    for kind in (np.uint16, np.int16, np.int32, np.float64, ">f4"):
        assert as_set(pick_log(image.astype(kind), PIXEL, **RANGE)) == want


def test_the_transposed_micrograph_has_the_transposed_picks():
    image = discs((400, 400), scattered((400, 400), 15))
    picks = pick_log(image, PIXEL, **RANGE, threshold_offset=1)
    turned = pick_log(image.T, PIXEL, **RANGE, threshold_offset=1)
    assert len(picks) > 10
    assert as_set(picks) == sorted(zip(turned.y.tolist(), turned.x.tolist(), strict=True))


def test_the_mirrored_micrograph_has_the_mirrored_picks():
    """Mirrored about the first pixel, so that the search grid is mirrored, too."""
    n = 400
    image = discs((n, n), scattered((n, n), 15))
    mirrored = np.roll(image[:, ::-1], 1, axis=1)
    picks = pick_log(image, PIXEL, **RANGE, threshold_offset=2)
    other = pick_log(mirrored, PIXEL, **RANGE, threshold_offset=2)
    assert len(picks) == 15
    back = sorted(zip((n - other.x).tolist(), other.y.tolist(), strict=True))
    assert np.allclose(as_set(picks), back, atol=1e-9 * n)


def test_noise_around_a_rectangle_follows_the_seed_alone():
    image = discs((200, 300), scattered((200, 300), 6))
    first = log_fom_maps(image, PIXEL, **RANGE, seed=5)
    again = log_fom_maps(image, PIXEL, **RANGE, seed=5)
    other = log_fom_maps(image, PIXEL, **RANGE, seed=6)
    assert np.array_equal(first.best, again.best)
    assert not np.array_equal(first.best, other.best)


def test_reference_backend_and_threads_give_the_same_picks():
    image = discs((220, 310), scattered((220, 310), 8))
    want = pick_log(image, PIXEL, **RANGE, threads=1)
    reference = pick_log(image, PIXEL, **RANGE, backend="reference")
    assert as_set(reference) == as_set(want)
    assert np.allclose(reference.fom, want.fom, rtol=1e-4)
    many = pick_log(image, PIXEL, **RANGE, threads=5)
    assert many.table().equals(want.table())


def test_maps_can_be_used_again():
    image = discs((300, 300), scattered((300, 300), 10))
    picks = pick_log(image, PIXEL, **RANGE, return_fom_maps=True)
    maps = picks.fom_maps
    assert maps.best.shape == maps.size.shape
    assert set(np.unique(maps.size)) <= set(filter_diameters(80, 100).astype(np.float32))
    for changed in ({}, {"threshold_offset": 1.0}, {"upper_threshold": 4.0}, {"min_distance": 300.0}):
        fresh = pick_log(image, PIXEL, **RANGE, **changed)
        assert pick_log(image, PIXEL, **RANGE, fom_maps=maps, **changed).table().equals(fresh.table())
        assert find_peaks(maps, **changed).table().equals(fresh.table())
    assert pick_log(image, PIXEL, **RANGE).fom_maps is None
    with pytest.raises(InputError, match="were not made for diameters 70 to 100 A"):
        pick_log(image, PIXEL, min_diameter=70, max_diameter=100, fom_maps=maps)
    with pytest.raises(InputError, match=r"of shape \(300, 300\), this one is \(300, 200\)"):
        pick_log(image[:, :200], PIXEL, **RANGE, fom_maps=maps)


def test_thresholds_are_standard_deviations_of_the_map():
    image = discs((300, 300), scattered((300, 300), 10))
    at = {t: pick_log(image, PIXEL, **RANGE, threshold_offset=t) for t in (0, 1, 2)}
    step = at[1].threshold - at[0].threshold
    assert at[2].threshold - at[0].threshold == pytest.approx(2 * step)
    assert len(at[0]) >= len(at[1]) >= len(at[2])
    capped = pick_log(image, PIXEL, **RANGE, upper_threshold=2)
    assert capped.upper_threshold == pytest.approx(at[2].threshold)
    assert (capped.fom < capped.upper_threshold).all()


@pytest.mark.parametrize("distance", [None, 150.0, 400.0])
def test_minimum_distance(distance):
    picks = pick_log(discs((400, 400), [], noise=1), PIXEL, **RANGE, min_distance=distance)
    apart = np.hypot(picks.x - picks.x[:, None], picks.y - picks.y[:, None]) * PIXEL
    assert len(picks) > 3
    # without one, neighbours are (d + min_diameter) / 2 apart, rounded to a pixel of the search grid
    grid = PIXEL / Grid((400, 400), working_size(400, PIXEL, 20)).scale
    assert apart[apart > 0].min() >= (distance or 80 - grid) * (1 - 1e-6)


def test_percentage_and_border():
    image = discs((400, 400), [], noise=1)
    assert len(pick_log(image, PIXEL, **RANGE, neighbour_percent=50)) > len(pick_log(image, PIXEL, **RANGE))
    picks = pick_log(image, PIXEL, **RANGE, skip_side=80)
    for c in (picks.x, picks.y):
        assert c.min() >= 78
        assert c.max() <= 322


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"min_diameter": 1700, "max_diameter": 1800}, "a border of 212 pixels leaves nothing"),
        ({**RANGE, "threshold_offset": 1000}, "no peak lies between the thresholds"),
        ({**RANGE, "upper_threshold": -1}, "the upper threshold .* does not exceed the threshold"),
    ],
)
def test_no_picks_have_a_reason(options, reason):
    import re

    picks = pick_log(discs((400, 400), [(200, 200)]), PIXEL, **options)
    assert len(picks) == 0
    assert re.match(reason, picks.reason)
    assert picks.table().empty


@pytest.mark.parametrize("shape", [(2, 1), (1, 7), (3, 3), (5, 40)])
def test_tiny_micrographs(shape):
    image = np.random.default_rng(0).standard_normal(shape)
    picks = pick_log(image, 10.0, min_diameter=30, max_diameter=40, max_resolution=-1)
    assert len(picks) == 0 or np.isfinite(picks.fom).all()
    assert bool(picks.reason) == (len(picks) == 0)


NAN = np.random.default_rng(0).standard_normal((40, 40))
NAN[3, 4:6] = np.nan


@pytest.mark.parametrize(
    ("image", "changed", "text"),
    [
        (NAN, {}, "2 of the micrograph's 1600 pixels are not finite"),
        (np.full((40, 40), 7), {}, "all pixels of the micrograph are 7"),
        (np.zeros((3, 40, 40)), {}, r"array of shape \(3, 40, 40\)"),
        (np.zeros((40, 40), complex), {}, "type complex128"),
        (np.zeros((0, 40)), {}, r"array of shape \(0, 40\)"),
        (None, {"min_diameter": -5}, "min_diameter is -5, expected a number that is at least 2.5"),
        (None, {"max_diameter": 70}, "max_diameter is 70, expected a number that is at least 80"),
        (None, {"max_resolution": 0}, "max_resolution is 0 A, expected at least the pixel size 4 A"),
        (None, {"max_resolution": 1e5}, "leave nothing of a micrograph of 40 pixels"),
        (None, {"shrink": 40}, "shrink is 40 pixels, expected fewer than the micrograph's 40"),
        (None, {"shrink": -1}, "shrink is -1"),
        (None, {"threshold_offset": np.nan}, "threshold_offset is nan"),
        (None, {"neighbour_percent": -1}, "neighbour_percent is -1"),
        (None, {"skip_side": -1}, "skip_side is -1"),
        (None, {"backend": "abacus"}, "backend 'abacus' is unknown"),
    ],
)
def test_refusals(image, changed, text):
    if image is None:
        image = np.random.default_rng(0).standard_normal((40, 40))
    with pytest.raises(InputError, match=text):
        pick_log(image, PIXEL, **{**RANGE, **changed})


def test_refused_pixel_size():
    with pytest.raises(InputError, match="pixel_size_angstrom is 0, expected a number that is more than 0"):
        pick_log(np.eye(40), 0.0, **RANGE)


@given(st.integers(1, 100_000))
def test_largest_prime_factor(n):
    p = largest_prime_factor(n)
    assert n % p == 0
    assert all(p % q for q in range(2, int(p**0.5) + 1))
    while n % p == 0 and p > 1:
        n //= p
    assert n == 1 or largest_prime_factor(n) < p


@given(n=st.integers(64, 8000), resolution=st.floats(2, 60) | st.just(-1.0))
def test_working_size(n, resolution):
    size = working_size(n, 1.0, resolution)
    wanted = n if resolution < 0 else 2 * n / resolution
    assert size % 2 == 0
    assert size <= max(n, wanted + 1) + 1
    assert abs(size - wanted) <= 0.25 * wanted + 14
    if resolution > 0 or n % 2 == 0:  # an odd size is made even last, whatever that gives
        assert largest_prime_factor(size) <= 43
        assert largest_prime_factor(size // 2 + 1) <= 43
