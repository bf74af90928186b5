"""Fourier ring correlation between the averages of even and odd particles of every class.

Made from assignments alone (class, angle, offset of every particle), so that programs can be compared
whatever priors, masks and weights their own averages carry: every image is multiplied by its CTF, moved
and turned, and summed in its class; the CTF^2 that a true average would be divided by is nearly constant
on a ring and cancels.
"""

import numpy as np
from scipy import ndimage

from boxwood.imaging.masks import radius_grid, soft_circle
from boxwood.simulate.particles import apply_ctf


def half_sums(
    images: np.ndarray, ctf_rows: np.ndarray, pixel_size: float, mask_diameter: float,
    found: np.ndarray, psi_deg: np.ndarray, offset_px: np.ndarray, classes: int,
) -> np.ndarray:  # fmt: skip
    """(classes, 2, box, box) sums of even and odd members, masked; `found` counts from 0."""
    weighted = images.astype(np.float32)
    apply_ctf(weighted, ctf_rows, pixel_size, backend="cpu", threads=1)
    box = images.shape[1]
    sums = np.zeros((classes, 2, box, box))
    turn = np.zeros(classes, dtype=int)
    centre = np.array([box // 2, box // 2])
    for image, k, psi, (dx, dy) in zip(weighted, found, np.deg2rad(psi_deg), offset_px, strict=True):
        if k < 0:
            continue
        # The image at angle theta shows the reference at theta + psi; arrays are (y, x).
        c, s = np.cos(psi), np.sin(psi)
        matrix = np.array([[c, -s], [s, c]])
        start = centre - matrix @ centre - np.array([dy, dx])
        sums[k, turn[k] % 2] += ndimage.affine_transform(image, matrix, start, order=3)
        turn[k] += 1
    return sums * soft_circle((box, box), mask_diameter / (2 * pixel_size))


def ring_correlation(halves: np.ndarray) -> np.ndarray:
    """(classes, box // 2) correlation of the halves on rings of radius 0, 1, ..."""
    box = halves.shape[-1]
    ring = np.rint(np.fft.ifftshift(radius_grid((box, box)))).astype(int).ravel()
    even, odd = np.moveaxis(np.fft.fft2(halves).reshape(len(halves), 2, -1), 1, 0)
    sums = [np.array([np.bincount(ring, weights=v)[: box // 2] for v in values])
            for values in ((even * odd.conj()).real, np.abs(even) ** 2, np.abs(odd) ** 2)]  # fmt: skip
    return sums[0] / np.maximum(np.sqrt(sums[1] * sums[2]), 1e-30)


def resolution(correlation: np.ndarray, pixel_size: float, threshold: float) -> np.ndarray:
    """(classes,) Angstrom where the correlation first falls below the threshold, between rings linearly."""
    box = 2 * correlation.shape[1]
    out = np.empty(len(correlation))
    for i, c in enumerate(correlation):
        below = np.flatnonzero(c[1:] < threshold)
        last = int(below[0]) + 1 if len(below) else len(c) - 1
        step = (
            (c[last - 1] - threshold) / max(c[last - 1] - c[last], 1e-9) if last > 1 and len(below) else 0.0
        )
        out[i] = box * pixel_size / (last - 1 + step) if last > 1 else np.inf
    return out
