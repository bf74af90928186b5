"""Kernels end when they are asked to, and give no half results; afterwards all is as before."""

import numpy as np
import pytest

from boxwood.backends import get_backend, stop_kernels

CPU = get_backend("cpu")
RNG = np.random.default_rng(0)
IMAGES = RNG.standard_normal((70, 32, 32)).astype(np.float32)
POSITIONS = RNG.uniform(0, 10, (200, 2)).astype(np.float32)
MASK = np.ones((32, 32), np.float32)


def transform(threads):
    return CPU.polar_transform(IMAGES, None, MASK, POSITIONS, threads)[0]


def maps(threads):
    return CPU.log_pick_maps(IMAGES[0], np.zeros(0, np.float32), 32, np.ones(3), 8.0, -1.0, threads)[0]


def ctf(threads):
    rows = np.tile([15000.0, 14000, 30, 0, 200, 1.4, 0.1, 0, 1], (20, 1))
    return CPU.ctf(rows, POSITIONS / 100, 0, threads)


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("kernel", [transform, maps, ctf])
def test_kernels_stop_and_work_again(kernel, threads):
    before = kernel(threads)
    stop_kernels(True)
    try:
        with pytest.raises(KeyboardInterrupt):
            kernel(threads)
    finally:
        stop_kernels(False)
    np.testing.assert_array_equal(kernel(threads), before)
