"""The expectation kernel: against the reference, against the exact Cartesian likelihood, and by property."""

import numpy as np
import pytest
from expectation_cases import (
    EPS,
    PER_IMAGE,
    PLAIN,
    blobs,
    make_case,
    shapes,
    value_error,
    with_first_pass,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from boxwood import _core
from boxwood.backends import get_backend, reference
from boxwood.imaging.masks import soft_circle
from boxwood.imaging.polar import PolarGrid, cutoff


def check(case, backend):
    got, want = backend.expectation(**case), reference.expectation(**case)
    error = value_error(case)
    log_sum = np.abs(got["statistics"][:, 0] - want["statistics"][:, 0])
    assert log_sum.max() <= error
    assert np.abs(got["statistics"][:, 3] - want["statistics"][:, 3]).max() <= error
    relative = 4 * error + 64 * EPS
    for name in ("class_posterior", "offset_posterior"):
        assert np.abs(got[name] - want[name]).max() <= relative
    assert np.allclose(got["class_posterior"].sum(axis=1), 1, atol=relative)
    for name in ("cross", "model", "numerator", "denominator"):
        size = np.abs(want[name]).max()
        assert np.abs(got[name] - want[name]).max() <= relative * size * len(case["images"]) + 1e-30, name
    # The best sample may be another one only where two are equally good.
    same = (got["best"] == want["best"]).all(axis=1)
    assert (same | (np.abs(got["statistics"][:, 3] - want["statistics"][:, 3]) <= error)).all()


@settings(max_examples=12)
@given(**shapes)
def test_soft_expectation_is_the_reference(backend, **shape):
    check(make_case(**shape), backend)


@settings(max_examples=8)
@given(**shapes)
def test_hard_expectation_is_the_reference(backend, **shape):
    case = make_case(**shape) | {"hard": True}
    got, want = backend.expectation(**case), reference.expectation(**case)
    close = np.abs(got["statistics"][:, 3] - want["statistics"][:, 3])
    assert (close <= 64 * EPS * (np.abs(want["statistics"][:, 3]) + 1)).all()
    same = (got["best"] == want["best"]).all(axis=1)
    if same.all():
        for name in ("class_posterior", "numerator", "denominator", "cross", "model"):
            assert np.allclose(got[name], want[name], atol=1e-4 * np.abs(want[name]).max() + 1e-30), name
    assert same.mean() > 0.5


@settings(max_examples=5)
@given(seed=st.integers(0, 2**32 - 1), allowed=st.integers(0, 19))
def test_prior_on_angles(backend, seed, allowed):
    prior = np.full(20, -1e30, np.float32)
    prior[allowed] = 0
    case = make_case(seed) | {"log_prior_psi": prior}
    got = backend.expectation(**case)
    assert (got["best"][:, 1] == allowed).all()
    check(case, backend)


@settings(max_examples=8)
@given(**shapes)
def test_largest_samples(backend, **shape):
    case = make_case(**shape)
    got, want = backend.expectation(**case), reference.expectation(**case)
    error = 4 * value_error(case) + 64 * EPS
    assert np.abs(got["top_weights"] - want["top_weights"]).max() <= error
    assert (np.diff(got["top_weights"], axis=1) <= 0).all()
    # Each sample has the weight it is said to have; samples of equal weight may change places.
    everything = reference.expectation(
        **(case | {"top": case["psi"] * len(case["phases"]) * shape["classes"]})
    )
    for i in range(shape["images"]):
        samples = [tuple(sample) for sample in got["top_samples"][i][got["top_weights"][i] > 0]]
        assert len(set(samples)) == len(samples)
        weight = dict(
            zip(map(tuple, everything["top_samples"][i]), everything["top_weights"][i], strict=True)
        )
        claimed = got["top_weights"][i][: len(samples)]
        assert np.abs([weight[sample] for sample in samples] - claimed).max() <= error
    assert (got["top_samples"][:, 0] == got["best"]).all() or error > np.diff(
        want["top_weights"][:, :2]
    ).min()


def test_empty_class_gets_nothing(backend):
    case = make_case(3)
    case["log_prior_class"][2] = -1e4
    case["references"][2] = 0
    case["power"][2] = 0
    for hard in (False, True):
        got = backend.expectation(**(case | {"hard": hard}))
        assert got["class_posterior"][:, 2].max() == 0
        assert np.isfinite(got["statistics"]).all()


@pytest.mark.parametrize("spoilt", [[1, 3], slice(None)], ids=["some", "all"])
@pytest.mark.parametrize(("what", "where"), [("images", 0), ("ctf", -1)])
@pytest.mark.parametrize("two_pass", [False, True])
@pytest.mark.parametrize("hard", [False, True])
def test_images_that_are_no_numbers_add_nothing(backend, two_pass, hard, what, where, spoilt):
    """They have no posterior, and say so; others do not notice. The last samples are none of a first pass."""
    case = make_case(9, images=5, classes=3, offsets=4) | {"hard": hard}
    if two_pass:
        case = with_first_pass(case, 9)
    plain, case[what] = backend.expectation(**case), case[what].copy()
    case[what][spoilt, where] = np.nan
    got, bad = backend.expectation(**case), np.zeros(5, bool)
    bad[spoilt] = True
    rest = backend.expectation(**(case | {name: case[name][~bad] for name in PER_IMAGE}))
    for name, value in got.items():
        if name in ("numerator", "denominator"):
            assert np.abs(value - rest[name]).max() <= 5 * EPS * np.abs(plain[name]).max(), name
        else:
            assert value[~bad].tobytes() == plain[name][~bad].tobytes(), name
    assert np.array_equal(
        got["statistics"][bad], [[-np.inf, np.inf, np.nan, np.float32(-1e30)]] * bad.sum(), equal_nan=True
    )
    assert np.isnan(got["class_posterior"][bad]).all() and np.isnan(got["offset_posterior"][bad]).all()
    for name in ("best", "top_samples", "top_weights", "cross", "model"):
        assert (got[name][bad] == 0).all(), name


def test_dropping_hopeless_pairs_changes_little(backend):
    case = make_case(4, images=30, snr=2.0)
    full, cut = backend.expectation(**case), backend.expectation(**(case | {"cut": 12.0}))
    # At most classes x offsets pairs of psi angles each, every one below exp(-12) of the best.
    lost = 6 * 9 * 20 * np.exp(-12)
    assert np.abs(full["class_posterior"] - cut["class_posterior"]).max() <= lost
    assert (full["best"] == cut["best"]).all()


def test_threads_do_not_matter(backend):
    case = make_case(5, images=53)
    one, many = backend.expectation(**case), backend.expectation(**(case | {"threads": 4}))
    for name, value in one.items():
        assert value.tobytes() == many[name].tobytes(), name


def test_sums_over_parts_add(backend):
    case = make_case(6, images=40)
    parts = [
        backend.expectation(**(case | {name: case[name][part] for name in PER_IMAGE}))
        for part in (slice(0, 13), slice(13, 40))
    ]
    whole = backend.expectation(**case)
    for name in ("numerator", "denominator"):
        size = np.abs(whole[name]).max()
        assert np.abs(parts[0][name] + parts[1][name] - whole[name]).max() <= 40 * EPS * size


@pytest.mark.parametrize("limit", [8, 13])
def test_likelihood_is_the_cartesian_one(limit):
    """Against the exact sum over the lattice of Fourier coefficients, by brute force in float64.

    The bound is half of what linear interpolation of references on a twofold padded lattice costs, see
    the accuracy table in docs/class2d.md; it comes from the spacing of the inner rings, which carry most
    of the power of these smooth references.
    """
    box, psi = 32, 12
    rng = np.random.default_rng(7)
    grid = PolarGrid(box, 11.0, 3.0, limit + 1)
    flat = np.ones((box, box))
    references = blobs(rng, 3, box)
    mask = soft_circle((box, box), 8, 5)
    sigma2 = (mask**2).sum()
    images = references * 1.0 + rng.standard_normal((3, box, box)) * mask
    shifts = np.array([(x, y) for x in (-2, 0, 1) for y in (-1, 0, 2)], float)
    a, _ = reference.polar_transform(references, None, flat, grid.positions)
    x, _ = reference.polar_transform(images, None, flat, grid.positions)

    # Lattice: all coefficients but the zero frequency, with the same soft edge in radius.
    f = np.stack(np.meshgrid(*[np.arange(box) - box // 2] * 2, indexing="xy"), axis=-1).reshape(-1, 2)
    radius = np.hypot(*f.T)
    f = f[(radius > 0.5) & (radius < limit + 2)].astype(np.float64)
    radius = np.hypot(*f.T)
    soft = 0.5 - 0.5 * np.sin(np.pi * np.clip((radius - limit - 0.5) / 3, -0.5, 0.5))
    lattice_x, _ = reference.polar_transform(images, None, flat, f)
    exact = np.empty((3, 3, psi, len(shifts)))
    for i in range(psi):
        angle = 2 * np.pi * i / psi
        turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
        lattice_a, _ = reference.polar_transform(references, None, flat, f @ turn)
        for j, shift in enumerate(shifts):
            y = lattice_x * np.exp(-2j * np.pi * (f @ shift) / box)
            difference = np.abs(y[:, None] - lattice_a[None]) ** 2 - np.abs(y[:, None]) ** 2
            exact[:, :, i, j] = -0.5 * (soft * difference).sum(axis=2) / sigma2

    rings = limit + 1
    area = 2 * np.pi * np.arange(1, rings + 1) * cutoff(rings, limit)
    case = {
        "images": x,
        "ctf": np.ones(x.shape, np.float32),
        "group": np.zeros(3, np.int32),
        "weights": (area / (grid.ring_samples * sigma2)).astype(np.float32)[None],
        "scale": np.ones((3, 2), np.float32),
        "ring_samples": grid.ring_samples,
        "ring_harmonics": grid.ring_harmonics,
        "references": grid.harmonics(a, rings).astype(np.complex64),
        "power": grid.power_harmonics(a, rings).astype(np.complex64),
        "phases": np.exp(-2j * np.pi * (shifts @ (grid.positions.astype(float) / box).T)).astype(
            np.complex64
        ),
        "log_prior_offset": np.zeros((3, len(shifts)), np.float32),
        "log_prior_class": np.zeros(3, np.float32),
        "coarse_log_prior_offset": np.zeros((3, 0), np.float32),
        "psi": psi,
        **PLAIN,
    }
    case["images"] = case["images"].astype(np.complex64)
    got = get_backend("cpu").expectation(**case)
    flat_exact = exact.reshape(3, -1)
    assert (got["statistics"][:, 3] - flat_exact.max(axis=1) <= 0.1 * flat_exact.std()).all()
    want = np.exp(flat_exact - flat_exact.max(axis=1, keepdims=True))
    want /= want.sum(axis=1, keepdims=True)
    # One sample at a time through priors: the kernel's own log-likelihood of every (psi, offset).
    values = np.empty_like(exact)
    for i in range(psi):
        prior = np.full(psi, -1e30, np.float32)
        prior[i] = 0
        for j in range(len(shifts)):
            one = case | {"log_prior_psi": prior, "phases": case["phases"][j : j + 1]}
            one["log_prior_offset"] = np.zeros((3, 1), np.float32)
            for k in range(3):
                classes = np.full(3, -1e30, np.float32)
                classes[k] = 0
                result = get_backend("cpu").expectation(**(one | {"log_prior_class": classes}))
                values[:, k, i, j] = result["statistics"][:, 0]
    error = (values - exact).reshape(3, -1)
    error -= error.mean(axis=1, keepdims=True)
    assert (error.std(axis=1) / flat_exact.std(axis=1)).max() < 0.03
    assert (values.reshape(3, -1).argmax(axis=1) == flat_exact.argmax(axis=1)).all()


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"psi": 14}, "psi is 14, expected an even 2\\^a 3\\^b 5\\^c"),
        ({"scale": np.ones((5, 3), np.float32)}, r"scale has shape \(5, 3\), expected \(5, 2\)"),
        ({"group": np.full(5, 9, np.int32)}, "group of image 0 is outside weights"),
        ({"fraction": 0.0}, "fraction is 0.0.*, expected more than 0"),
        ({"precision": "half"}, "precision is half, expected float32, tf32 or bf16"),
        (
            {
                "coarse_phases": np.ones((2, 4), np.complex64),
                "coarse_log_prior_offset": np.zeros((5, 2), np.float32),
                "parent": np.zeros(9, np.int32),
            },
            "coarse_phases have 4 samples, which is no whole number of rings",
        ),
        ({"phases": np.ones((9, 3), np.complex64)}, "phases have 3 samples, the rings have"),
        ({"ring_harmonics": np.full(7, 3, np.int32)}, "ring 0 .* and 3 harmonics, expected .* at least 4"),
        ({"ring_harmonics": np.full(7, 5, np.int32)}, "references have .* coefficients, the rings have 42"),
    ],
)
def test_wrong_arguments_are_named(backend, change, sentence):
    with pytest.raises(ValueError, match=sentence):
        backend.expectation(**(make_case(1) | change))


def test_speed_of_the_product_is_told(backend):
    case = make_case(0, classes=23)
    for bf16 in (False, True):
        product, peak = _core.product_speed(case["references"], case["ring_harmonics"], 20, 2, bf16, 3)
        assert 0 < product < np.inf and 0 < peak < np.inf
    with pytest.raises(ValueError, match=r"references have .* coefficients, the rings have"):
        _core.product_speed(case["references"], case["ring_harmonics"][1:], 20, 2, False, 3)
    with pytest.raises(ValueError, match="ring 0 has 3 harmonics, expected at least 4"):
        _core.product_speed(case["references"], np.full(7, 3, np.int32), 20, 2, False, 3)
