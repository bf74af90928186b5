"""Averages over shells of spatial frequency."""

import numpy as np

from boxwood.imaging.fourier import forward, signed_frequencies
from boxwood.typing import AnyArray, IntArray


def shell_index(box: int) -> IntArray:
    """Shell of every coefficient of the half-complex spectrum of a box x box image: its rounded radius."""
    y, x = signed_frequencies(box), np.arange(box // 2 + 1)
    return np.rint(np.hypot(y[:, None], x[None, :])).astype(np.int64)


def radial_average(values: AnyArray) -> AnyArray:
    """Mean over shells of a half-complex array.

    Parameters
    ----------
    values : (..., box, box//2 + 1)
        Real, for instance squared magnitudes.

    Returns
    -------
    (..., box//2 + 1) float64
        Shells 0 to box//2; every stored coefficient counts once, those in the corners not at all.
    """
    box = values.shape[-2]
    shells = shell_index(box)
    inside = shells <= box // 2
    count = np.bincount(shells[inside])
    flat = values[..., inside].reshape(-1, int(inside.sum()))
    sums = [np.bincount(shells[inside], weights=row) for row in flat]
    return (np.array(sums) / count).reshape(*values.shape[:-2], box // 2 + 1)


def power_spectrum(images: AnyArray) -> AnyArray:
    """Shell averages (..., box//2 + 1) of |F|^2 of square images (..., box, box)."""
    return radial_average(np.abs(forward(images)) ** 2)


def last_ring_reaching(curves: AnyArray, threshold: float) -> IntArray:
    """(n,) last ring, counted from 1, before curves (n, rings) first fall below `threshold`; 0: none."""
    below = np.concatenate([curves < threshold, np.ones((len(curves), 1), dtype=bool)], axis=1)
    return below.argmax(axis=1)
