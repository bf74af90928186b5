"""The transforms every kernel is built on, against NumPy, for each instruction set."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from boxwood import _core

PRIMES = [211, 499, 997, 2039, 4093]
COMPOSITES = [242, 1024, 2 * 19 * 101, 3710, 5760, 3**7, 5**5, 7 * 11 * 13]


@pytest.fixture(params=_core.runnable_simd().split())
def simd(request):
    return request.param


def largest_prime(n):
    p = 2
    while p * p <= n:
        if n % p == 0:
            n //= p
        else:
            p += 1
    return n


def check(n, sign, dtype, count, seed=0):
    rng = np.random.default_rng([n, count, seed])
    data = (rng.standard_normal((count, n)) + 1j * rng.standard_normal((count, n))).astype(dtype)
    wide = data.astype(np.complex128)
    expected = np.fft.fft(wide) if sign < 0 else np.fft.ifft(wide) * n
    got = _core.fft(data, sign)
    # The error of a sum of p terms is at most p eps of the norm; the passes add up to the prime
    # factors' sum, which is at most (largest factor) * log2(n).
    eps = np.finfo(dtype).eps
    bound = eps * largest_prime(n) * max(np.log2(n), 1) * np.linalg.norm(wide, axis=1, keepdims=True)
    assert np.all(np.abs(got - expected) <= bound), f"length {n}, sign {sign}"
    # and in the mean the errors are random, so they grow as the root of that
    rms = np.sqrt(np.mean(np.abs(got - expected) ** 2) / n) / np.sqrt(np.mean(np.abs(wide) ** 2))
    assert rms <= 4 * eps * np.sqrt(largest_prime(n) * max(np.log2(n), 1))


@pytest.mark.parametrize("dtype", [np.complex64, np.complex128])
@pytest.mark.parametrize("sign", [-1, 1])
def test_every_length_to_200(simd, dtype, sign):
    for n in range(1, 201):
        check(n, sign, dtype, count=3)


@pytest.mark.parametrize("dtype", [np.complex64, np.complex128])
@pytest.mark.parametrize("sign", [-1, 1])
@pytest.mark.parametrize("n", PRIMES + COMPOSITES)
def test_long_lengths(simd, dtype, sign, n):
    check(n, sign, dtype, count=2)


@given(
    n=st.integers(1, 700),
    count=st.integers(1, 40),
    sign=st.sampled_from([-1, 1]),
    seed=st.integers(0, 99),
)
def test_any_number_at_once(n, count, sign, seed):
    check(n, sign, np.complex64, count, seed)


def test_threads_do_not_matter(simd):
    assert _core.simd() == simd
    data = np.random.default_rng(1).standard_normal((50, 120)).astype(np.complex64)
    assert np.array_equal(_core.fft(data, -1, threads=1), _core.fft(data, -1, threads=3))


@pytest.mark.parametrize("shape", [(0, 8), (3, 1)])
def test_edge_shapes(shape):
    data = np.ones(shape, np.complex64)
    assert np.array_equal(_core.fft(data, -1), data)


def test_refusals():
    with pytest.raises(ValueError, match="sign is 0, expected 1 or -1"):
        _core.fft(np.ones((1, 4), np.complex64), 0)
    with pytest.raises(ValueError, match=r"in has shape \(4\)"):
        _core.fft(np.ones(4, np.complex64), 1)
