"""Particle extraction on each compiled backend against the float64 reference, and against what is known."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from boxwood.backends import reference
from boxwood.backends.reference.extract import normal_noise

EPS = float(np.finfo(np.float32).eps)
LEVEL = 1000.0
even = st.integers(2, 30).map(lambda n: 2 * n)


def micrograph(rng, ny, nx):
    """Noise of deviation 1 on a ramp of 20 a box, far from grey level 0."""
    y, x = np.mgrid[:ny, :nx]
    return (LEVEL + rng.standard_normal((ny, nx)) + 0.2 * x - 0.1 * y).astype(np.float32)


def largest_prime(n):
    return max(p for p in range(2, n + 1) if n % p == 0 and all(p % q for q in range(2, p)))


def rounding(box, scaled, image):
    """Bound of the float32 error in units of the largest grey value, for any one pixel.

    Each transform of a side n is at most largest prime * log2(n) additions deep, twice over for the two
    axes; the background's sums are 2 side deep. The grey values are counted from a nearby level.
    """
    depth = sum(2 * largest_prime(n) * np.log2(n) + 2 * n for n in (box, scaled))
    return EPS * depth * np.abs(image - image.mean()).max()


def arguments(seed, n, box, scaled, window, **given):
    rng = np.random.default_rng(seed)
    ny, nx = 2 * box + int(rng.integers(1, 30)), 2 * box + int(rng.integers(1, 30))
    centres = np.column_stack([rng.integers(-box // 2 + 1, side + box // 2, n) for side in (nx, ny)])
    settings = {
        "shifts": None,
        "filters": None,
        "fill": LEVEL,
        "background_radius": window // 4,
        "ramp": True,
        "white_dust": 0.0,
        "black_dust": 0.0,
        "invert": False,
        "seed": seed,
        "threads": 1,
    } | given
    image = micrograph(rng, ny, nx)
    return {
        "micrograph": image,
        "centres": centres.astype(np.int32),
        "box": box,
        "scaled": scaled,
        "window": window,
    } | settings


def background_deviation(given):
    """Deviations that the images are divided by, from the reference without and with that division."""
    plain = reference.extract(**given | {"background_radius": -1.0})[0]
    done, faults = reference.extract(**given)
    x = np.arange(given["window"]) - given["window"] // 2
    plane = np.stack(np.broadcast_arrays(x[None, :], x[:, None], 1, 0), axis=-1).reshape(-1, 4).astype(float)
    deviations = []
    for a, b, fault in zip(plain, done, faults, strict=True):
        plane[:, 3] = b.ravel()
        deviations.append(np.inf if fault else np.linalg.lstsq(plane, a.ravel(), rcond=None)[0][3])
    return np.abs(deviations)


def check(backend, given):
    got, faults = backend.extract(**given)
    want, expected_faults = reference.extract(**given)
    assert got.dtype == np.float32 and got.shape == want.shape
    assert faults.tolist() == expected_faults.tolist()
    allowed = np.full(len(got), rounding(given["box"], given["scaled"], given["micrograph"]))
    if given["background_radius"] < 0:
        allowed += EPS * LEVEL
    elif len(got):
        allowed /= background_deviation(given)
        allowed += rounding(given["box"], given["scaled"], want)
    assert (np.abs(got - want).max(axis=(1, 2), initial=0) <= allowed).all()


@settings(max_examples=50)
@given(
    seed=st.integers(0, 2**32 - 1),
    n=st.integers(0, 10),
    sizes=st.tuples(even, even, even),
    radius=st.sampled_from([-1.0, 0.0, 0.25, 0.5]),
    ramp=st.booleans(),
    invert=st.booleans(),
    shifted=st.booleans(),
    filters=st.sampled_from(["none", "one", "each"]),
    wider=st.integers(0, 5),
)
def test_images_are_the_references(backend, seed, n, sizes, radius, ramp, invert, shifted, filters, wider):
    box, scaled, window = sizes[0], sizes[1], min(sizes[1:])
    rng = np.random.default_rng(seed)
    given = arguments(seed, n, box, scaled, window, ramp=ramp, invert=invert)
    given["background_radius"] = radius if radius < 0 else float(int(radius * window))
    if shifted:
        given["shifts"] = rng.uniform(-1, 1, (n, 2)).astype(np.float32)
    if filters != "none":
        wide, count = box + 2 * wider, 1 if filters == "one" else n
        given["filters"] = rng.uniform(0.5, 1.5, (count, wide, wide // 2 + 1)).astype(np.float32)
    check(backend, given)


@settings(max_examples=20)
@given(
    seed=st.integers(0, 2**32 - 1), white=st.sampled_from([0.0, 2.0, 3.0]), black=st.sampled_from([0.0, 2.5])
)
def test_dust_becomes_the_reference_noise(backend, seed, white, black):
    given = arguments(seed, 5, 48, 32, 32, ramp=False)
    plain = reference.extract(**given)[0]
    # a pixel on the limit but for rounding may be dust or not
    assume(np.abs(plain - white).min() > 1e-4 and np.abs(plain + black).min() > 1e-4)
    check(backend, given | {"white_dust": white, "black_dust": black})


def test_noise_is_normal():
    noise = normal_noise(7, (12, -3), 200_000)
    n = len(noise)
    assert abs(noise.mean()) < 5 / np.sqrt(n)
    assert abs(noise.var() - 1) < 5 * np.sqrt(2 / n)
    assert abs((noise**4).mean() - 3) < 5 * np.sqrt(96 / n)
    assert abs((noise[1:] * noise[:-1]).mean()) < 5 / np.sqrt(n)
    assert not np.array_equal(noise[:10], normal_noise(7, (-3, 12), 10))


def test_results_do_not_depend_on_threads_or_neighbours(backend):
    given = arguments(3, 37, 40, 24, 24, white_dust=2.0)
    one, _ = backend.extract(**given)
    for threads in (2, 3, 50):
        again, _ = backend.extract(**given | {"threads": threads})
        assert one.tobytes() == again.tobytes()
    order = np.random.default_rng(0).permutation(37)
    shuffled, _ = backend.extract(**given | {"centres": given["centres"][order]})
    assert shuffled.tobytes() == one[order].tobytes()


def test_background_is_normalised_and_flat(backend):
    given = arguments(4, 20, 64, 48, 48, background_radius=18.0)
    images, _ = backend.extract(**given)
    x = np.arange(48) - 24
    outside = x**2 + x[:, None] ** 2 > 18**2
    values = images[:, outside].astype(np.float64)
    bound = 48 * EPS
    assert np.abs(values.mean(axis=1)).max() <= bound
    assert np.abs(values.std(axis=1) - 1).max() <= bound
    along_x = np.broadcast_to(x, (48, 48))[outside]
    slopes = (values * along_x).sum(axis=1) / (along_x**2).sum()
    assert np.abs(slopes).max() <= bound


def test_without_any_step_pixels_are_copied(backend):
    given = arguments(5, 30, 22, 22, 22, background_radius=-1.0)
    given["micrograph"] = np.rint(given["micrograph"])  # so that nothing is rounded
    images, _ = backend.extract(**given)
    offsets = np.arange(22) - 11
    for image, (x, y) in zip(images, given["centres"], strict=True):
        rows = np.clip(y + offsets, 0, given["micrograph"].shape[0] - 1)
        columns = np.clip(x + offsets, 0, given["micrograph"].shape[1] - 1)
        np.testing.assert_allclose(image, given["micrograph"][np.ix_(rows, columns)], atol=2 * EPS * LEVEL)


def test_faults_are_reported_and_leave_the_others_alone(backend):
    rng = np.random.default_rng(6)
    image = micrograph(rng, 64, 400)
    y, x = np.mgrid[:64, :400]
    image[:, 0:64] = 7.5
    image[:, 64:128] = (3.0 * x - 2.0 * y)[:, 64:128]
    image[30, 150] = np.nan
    image[30, 220] = np.inf
    centres = np.array([[32, 32], [96, 32], [160, 32], [224, 32], [320, 32]], np.int32)
    given = arguments(6, 5, 64, 64, 64) | {"micrograph": image, "centres": centres}
    for ramp, expected in ((True, [1, 1, 2, 2, 0]), (False, [1, 0, 2, 2, 0])):
        images, faults = backend.extract(**given | {"ramp": ramp})
        assert faults.tolist() == expected
        assert (images[faults > 0] == 0).all()
        assert np.isfinite(images).all()
        alone, _ = backend.extract(**given | {"ramp": ramp, "centres": centres[4:]})
        assert alone[0].tobytes() == images[4].tobytes()


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"box": 31}, "box is 31, expected an even number from 4"),
        ({"window": 40}, "window is 40, expected an even number from 4 to 32"),
        ({"centres": np.zeros((2, 3), np.int32)}, r"centres has shape \(2, 3\), expected \(any, 2\)"),
        ({"centres": np.array([[5, 5], [-16, 5]], np.int32)}, r"box 1 at \(-16, 5\) lies outside"),
        ({"shifts": np.zeros((3, 2), np.float32)}, r"shifts has shape \(3, 2\), expected \(2, 2\)"),
        ({"filters": np.zeros((1, 30, 16), np.float32)}, "filters' box is smaller"),
        ({"filters": np.zeros((3, 32, 17), np.float32)}, r"filters has shape \(3, 32, 17\)"),
        ({"micrograph": np.zeros(9, np.float32)}, r"micrograph has shape \(9\)"),
    ],
)
def test_wrong_arguments_are_named(backend, change, sentence):
    with pytest.raises(ValueError, match=sentence):
        backend.extract(**arguments(1, 2, 32, 32, 32) | change)
