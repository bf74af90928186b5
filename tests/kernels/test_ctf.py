"""The CTF on every backend against the float64 reference, and against what is known of it."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from boxwood.backends import reference

EPS = float(np.finfo(np.float32).eps)


def random_rows(rng, n, extreme):
    """CTF parameters, of real microscopes or at the far end of what anyone records."""
    defocus = 1e5 if extreme else 3e4
    return np.column_stack(
        [
            rng.uniform(0, defocus, n),
            rng.uniform(0, defocus, n),
            rng.uniform(-360, 360, n),
            rng.uniform(0, 180, n),
            rng.choice([80.0, 120.0, 200.0, 300.0], n),
            rng.uniform(0, 5 if extreme else 2.7, n),
            rng.uniform(0, 1, n),
            rng.uniform(0, 200, n),
            rng.uniform(0.1, 2, n),
        ]
    )


def phase_error(rows, frequencies):
    """Bound of the float32 error of the phase, in radian: a few roundings of the magnitude of its terms.

    Five products are added, each rounded once in its constant and at most four times on the way: no more
    than ten roundings (of eps / 2) of the sum of magnitudes.
    """
    u, v, _, phase, kv, cs, _, _, _ = rows.T[:, :, None]
    s2 = np.sum(frequencies.astype(np.float64) ** 2, axis=1)
    wavelength = 12.2643247 / np.sqrt(kv * 1e3 * (1 + 0.978466e-6 * kv * 1e3))
    # |xx| x^2 + |xy| |x y| + |yy| y^2 <= 2 lambda max(u, v) s^2
    terms = np.pi * wavelength * 2 * np.maximum(u, v) * s2 + 0.5 * np.pi * cs * 1e7 * wavelength**3 * s2**2
    return 10 * EPS / 2 * (terms + np.deg2rad(phase) + np.pi / 2)


def tolerance(rows, frequencies):
    """Bound of the float32 error of the CTF: phase, exponent, and eight roundings of the value."""
    b_factor, scale = rows.T[7:, :, None]
    exponent = 0.25 * b_factor * np.sum(frequencies.astype(np.float64) ** 2, axis=1)
    return scale * (phase_error(rows, frequencies) + EPS / 2 * (4 * exponent + 8))


def check(backend, seed, n, m, mode, extreme):
    rng = np.random.default_rng(seed)
    rows = random_rows(rng, n, extreme)
    frequencies = rng.uniform(-0.5, 0.5, (m, 2)).astype(np.float32)
    frequencies[: m // 4] = 0
    got = backend.ctf(rows, frequencies, mode, 1)
    want = reference.ctf(rows, frequencies, mode)
    assert got.shape == (n, m)
    assert got.dtype == np.float32
    assert np.abs(got).min(initial=1) >= np.float32(1e-8)
    ratio = np.abs(got - want) / tolerance(rows, frequencies)
    if mode & 2:  # where the phase is a quarter turn but for rounding, either side of the step is right
        plain = rows.copy()
        plain[:, 7:] = 0, 1
        at_step = 1 - np.abs(reference.ctf(plain, frequencies, 0)) <= phase_error(rows, frequencies) ** 2 / 2
        ratio[at_step] = 0
    assert ratio.max(initial=0) <= 1


cases = {
    "seed": st.integers(0, 2**32 - 1),
    "n": st.integers(0, 5),
    "m": st.integers(0, 70),
    "mode": st.integers(0, 3),
    "extreme": st.booleans(),
}


@settings(max_examples=60)
@given(**cases)
def test_cpu_is_the_reference(cpu_backend, seed, n, m, mode, extreme):
    check(cpu_backend, seed, n, m, mode, extreme)


@settings(max_examples=40)
@given(**cases)
def test_cuda_is_the_reference(cuda_backend, seed, n, m, mode, extreme):
    check(cuda_backend, seed, n, m, mode, extreme)


def test_cuda_walks_over_more_images_than_a_grid_holds(cuda_backend):
    rows = random_rows(np.random.default_rng(1), 65535 + 3, extreme=False)
    frequencies = np.array([[0.02, 0.05]], dtype=np.float32)
    got = cuda_backend.ctf(rows, frequencies, 0, 1)
    assert (np.abs(got - reference.ctf(rows, frequencies, 0)) <= tolerance(rows, frequencies)).all()


def test_results_do_not_depend_on_threads(cpu_backend):
    rng = np.random.default_rng(2)
    rows = random_rows(rng, 37, extreme=False)
    frequencies = rng.uniform(-0.3, 0.3, (101, 2)).astype(np.float32)
    one = cpu_backend.ctf(rows, frequencies, 0, 1)
    for threads in (2, 3, 64):
        assert one.tobytes() == cpu_backend.ctf(rows, frequencies, 0, threads).tobytes()


def test_at_zero_frequency_only_amplitude_contrast_is_left(cpu_backend):
    rows = np.array([[2e4, 1.9e4, 30, 0, 300, 2.7, q0, 0, 1] for q0 in (0.0, 0.07, 0.1, 1.0)])
    got = cpu_backend.ctf(rows, np.zeros((1, 2), np.float32), 0, 1)[:, 0]
    assert np.abs(got - [1e-8, 0.07, 0.1, 1.0]).max() <= 4 * EPS


def test_a_quarter_turn_swaps_the_defocus_axes(cpu_backend):
    rng = np.random.default_rng(3)
    rows = random_rows(rng, 4, extreme=False)
    swapped = rows[:, [1, 0, *range(2, 9)]]
    frequencies = rng.uniform(-0.2, 0.2, (33, 2)).astype(np.float32)
    turned = np.ascontiguousarray(frequencies[:, ::-1] * np.array([-1, 1], np.float32))
    difference = cpu_backend.ctf(rows, turned, 0, 1) - cpu_backend.ctf(swapped, frequencies, 0, 1)
    assert (np.abs(difference) <= 2 * tolerance(rows, frequencies)).all()


def test_nan_stays_with_its_image(cpu_backend):
    rows = random_rows(np.random.default_rng(4), 3, extreme=False)
    rows[1, 0] = np.nan
    got = cpu_backend.ctf(rows, np.full((19, 2), 0.01, np.float32), 0, 1)
    assert np.isnan(got).all(axis=1).tolist() == [False, True, False]
    assert not np.isnan(got[[0, 2]]).any()


@pytest.mark.parametrize(
    ("rows", "frequencies", "sentence"),
    [
        (np.zeros((2, 8)), np.zeros((3, 2), np.float32), r"rows has shape \(2, 8\), expected \(any, 9\)"),
        (np.zeros((2, 9)), np.zeros((3,), np.float32), r"frequencies has shape \(3\), expected \(any, 2\)"),
    ],
)
def test_wrong_shapes_are_named(backend, rows, frequencies, sentence):
    with pytest.raises(ValueError, match=sentence):
        backend.ctf(rows, frequencies, 0, 1)
