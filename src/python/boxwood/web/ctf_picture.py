"""Thon rings: the power spectrum of a micrograph, and the CTF that was fitted to it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from boxwood.backends import available_threads, get_backend
from boxwood.errors import InputError
from boxwood.imaging.fourier import forward, frequency_grid
from boxwood.imaging.spectrum import radial_average, shell_index
from boxwood.io.mrc import read_image
from boxwood.io.particles import ctf_rows
from boxwood.typing import AnyArray, FloatArray
from boxwood.web.images import without_holes
from boxwood.web.picking import Source, pixel_sizes
from boxwood.web.workspace import Workspace

BOX_PX = 512
# Finer detail is not shown: there are no rings to be seen.
FINEST_ANGSTROM = 2.8


def ctf_picture(workspace: Workspace, source: Source, name: str) -> tuple[AnyArray, str]:
    """Return a square picture (n, n) uint8 and a tag that changes with the micrograph.

    The centre is frequency 0; the edges are 1/2.8 Angstrom, or the micrograph's highest. Left is the
    spectrum without its slow fall; right, where the CTF is known, the square of the fitted one.
    """
    if name not in source.names:
        raise InputError(f"{source.name} has no micrograph {name}")
    path = workspace.read(name)
    stat = path.stat()
    tag = f"ctf-{stat.st_mtime_ns:x}-{stat.st_size:x}-{Path(source.star).name}"

    def make() -> tuple[FloatArray, int]:
        found = _levelled(periodogram(without_holes(read_image(path).data)))
        return found, found.nbytes

    spectrum = workspace.pictures.get(("spectrum", str(path), tag), make)
    half = np.clip(0.5 + spectrum / 6, 0, 1)  # three deviations to either side
    right = half
    row = source.names.index(name)
    pixel_size = pixel_sizes(source, None)[row]
    if source.micrographs.has_ctf() and pixel_size:
        parameters = ctf_rows(source.micrographs.select([row]))  # type: ignore[arg-type]
        grid = frequency_grid((BOX_PX, BOX_PX), pixel_size).reshape(-1, 2)
        frequencies = np.ascontiguousarray(grid, np.float32)
        fitted = get_backend("cpu").ctf(parameters, frequencies, 0, available_threads())
        right = fitted.reshape(half.shape) ** 2
    whole = _whole(half, right)
    edge = int(BOX_PX // 2 * max(0.0, 1 - 2 * (pixel_size or np.inf) / FINEST_ANGSTROM))
    shown = whole[edge : BOX_PX - edge, edge : BOX_PX - edge]
    return np.rint(255 * shown).astype(np.uint8), tag


def periodogram(image: FloatArray) -> FloatArray:
    """Mean of |F|^2 over half-overlapping squares of 512 pixels: (512, 257), frequency 0 first."""
    box = BOX_PX
    if min(image.shape) < box:
        wide = [(0, max(0, box - n)) for n in image.shape]
        image = np.pad(image, wide, constant_values=float(image.mean()))
    edge = np.hanning(box).astype(np.float32)
    window = edge[:, None] * edge
    total = np.zeros((box, box // 2 + 1), np.float64)
    for top in range(0, image.shape[0] - box + 1, box // 2):
        lefts = range(0, image.shape[1] - box + 1, box // 2)
        squares = np.stack([image[top : top + box, left : left + box] for left in lefts])
        squares = (squares - squares.mean(axis=(1, 2), keepdims=True)) * window
        total += (np.abs(forward(squares)) ** 2).sum(axis=0)
    return total.astype(np.float32)


def _levelled(power: FloatArray) -> FloatArray:
    """Take the background's slow fall out: what is left over the rings' running mean, in deviations."""
    logarithm = np.log(np.maximum(power, np.finfo(np.float32).tiny)).astype(np.float32)
    rings = radial_average(logarithm)
    wide = 25
    padded = np.pad(rings, wide, mode="reflect")
    smooth = np.convolve(padded, np.ones(2 * wide + 1) / (2 * wide + 1), "valid")
    level = smooth[np.minimum(shell_index(BOX_PX), len(smooth) - 1)]
    flat: Any = logarithm - level.astype(np.float32)
    return flat / (flat[shell_index(BOX_PX) > BOX_PX // 16].std() or 1.0)


def _whole(left: FloatArray, right: FloatArray) -> FloatArray:
    """Two half spectra (n, n/2 + 1) as a square with frequency 0 in the middle."""
    right = np.fft.fftshift(right[:, : BOX_PX // 2], axes=0)
    # Friedel's mates of the left half, turned by half a turn
    mates = np.fft.fftshift(left, axes=0)[:, 1:]
    return np.concatenate([np.roll(mates[::-1, ::-1], 1, axis=0), right], axis=1)
