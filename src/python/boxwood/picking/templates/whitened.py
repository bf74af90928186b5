"""The matched filter in the micrographs' own noise: all templates, under the CTF, at all angles."""

from dataclasses import dataclass

import numpy as np
from scipy import fft

from boxwood.backends import Backend
from boxwood.imaging.polar import good_length
from boxwood.picking.adaptive.preparation import Prepared
from boxwood.picking.templates.harmonics import SAMPLES, HarmonicTemplates
from boxwood.typing import AnyArray, DoubleArray, FloatArray

_PIXELS_AT_ONCE = 1 << 11  # whose scores at all angles are in the cache together
_FLOOR = 1e-3  # of the noise's mean power, below which none is believed


@dataclass(frozen=True)
class Scores:
    """The best template and angle at every place of a micrograph.

    Attributes
    ----------
    best : (ny, nx) float32
        Correlation with the best template, in standard deviations of the noise.
    template : (ny, nx) int16
    angle : (ny, nx) int16
        Index of the in-plane angle.
    """

    best: FloatArray
    template: AnyArray
    angle: AnyArray


def whitened_scores(
    micrograph: Prepared,
    templates: HarmonicTemplates,
    noise: DoubleArray,
    ctf_row: DoubleArray | None,
    backend: Backend,
    threads: int = 1,
) -> Scores:
    """Correlate a micrograph with templates, in units of what its noise would give.

    Parameters
    ----------
    micrograph : Prepared
        Particles white.
    templates : HarmonicTemplates
        On the micrograph's grid.
    noise : (bins,) float64
        Power per pixel, as `background_spectrum` has it.
    ctf_row : (9,) float64, optional
        Columns of `Backend.ctf`.
    """
    ny, nx = micrograph.shape
    margin = int(np.ceil(micrograph.diameter_px))
    py, px = good_length(ny + margin, 2), good_length(nx + margin, 2)
    ky, kx = np.fft.fftfreq(py)[:, None], np.fft.fftfreq(px)
    radius = np.hypot(ky, kx)
    transfer = np.ones((py, px), np.float32)
    if ctf_row is not None:
        grid = np.stack(np.broadcast_arrays(kx, ky), axis=-1) / templates.grid_angstrom
        flat = np.ascontiguousarray(grid.reshape(-1, 2), np.float32)
        transfer = backend.ctf(ctf_row[None], flat, 0, threads).reshape(py, px)
    # The preparation has taken the background away, and with it what particles have at these frequencies.
    transfer = transfer * (1 - np.exp(-2 * (np.pi * micrograph.diameter_px * radius) ** 2)).astype(np.float32)
    bins = (len(noise) - 1) / np.sqrt(2)
    power = np.interp(radius * 2 * bins - 0.5, np.arange(len(noise)), noise)
    power = np.maximum(power, _FLOOR * float(noise.mean()))
    squares = (transfer**2 / power).ravel()
    place = np.minimum(radius.ravel() * 2 * SAMPLES, SAMPLES - 1)
    used = np.flatnonzero(np.abs(templates.tables).any(axis=(0, 1)))
    band = np.flatnonzero((radius.ravel() < 0.5) & (place <= used[-1] + 1))
    low = np.minimum(place[band].astype(np.int64), SAMPLES - 2)
    part = (place[band] - low).astype(np.float32)
    # What each radius of the tables adds to the energy of a template.
    share = np.bincount(low, squares[band] * (1 - part), SAMPLES)
    share += np.bincount(low + 1, squares[band] * part, SAMPLES)
    spectrum = fft.fft2(micrograph.image, s=(py, px), workers=threads)
    weighted = (spectrum * (transfer / power)).ravel()[band].astype(np.complex64)
    turn = np.where(radius > 0, (kx - 1j * ky) / np.maximum(radius, 1e-12), 1).ravel()[band]
    turn = turn.astype(np.complex64)
    best = np.full((ny, nx), -np.inf, np.float32)
    template, angle = np.zeros((ny, nx), np.int16), np.zeros((ny, nx), np.int16)
    synthesis = templates.synthesis
    orders = templates.tables.shape[1]
    product = np.zeros(py * px, np.complex64)
    for t, tables in enumerate(templates.tables):
        turned = weighted
        parts = np.empty((2 * orders - 1, ny, nx), np.float32)
        for m, table in enumerate(np.conj(tables)):
            product[band] = (table[low] * (1 - part) + table[low + 1] * part) * turned
            g = fft.ifft2(product.reshape(py, px), workers=threads)[:ny, :nx]
            parts[m] = g.real
            if m:
                parts[orders - 1 + m] = g.imag
            turned = turned * turn
        powers = np.abs(tables.astype(np.complex128)) ** 2 @ share
        scale = np.float32(1 / np.sqrt((2 * powers.sum() - powers[0]) / (py * px)))
        _keep_best(parts, synthesis, scale, t, best, template, angle)
    best /= micrograph.deviation
    return Scores(best, template, angle)


def _keep_best(
    parts: FloatArray,
    synthesis: FloatArray,
    scale: np.float32,
    t: int,
    best: FloatArray,
    template: AnyArray,
    angle: AnyArray,
) -> None:
    """Evaluate a template at all angles, and keep it where it is the best so far."""
    flat, by_angle = parts.reshape(len(parts), -1), (synthesis * scale).T.copy()
    best_flat, template_flat, angle_flat = best.ravel(), template.ravel(), angle.ravel()
    for first in range(0, flat.shape[1], _PIXELS_AT_ONCE):
        here = slice(first, first + _PIXELS_AT_ONCE)
        values = by_angle @ flat[:, here]
        largest = values.max(axis=0)
        better = largest > best_flat[here]
        best_flat[here][better] = largest[better]
        template_flat[here][better] = t
        angle_flat[here][better] = values[:, better].argmax(axis=0)
