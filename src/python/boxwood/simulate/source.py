"""Particles that are made when they are read: sets of any size in little memory."""

import numpy as np

from boxwood.backends import get_backend
from boxwood.imaging.fourier import forward, frequency_grid, inverse
from boxwood.imaging.masks import soft_circle
from boxwood.simulate.gaussians import beta_galactosidase
from boxwood.simulate.noise import noise_amplitude, white_spectrum
from boxwood.simulate.particles import Density, check_numbers, ctf_rows, in_disc
from boxwood.simulate.rotations import random_orientations, rotation_matrices
from boxwood.typing import AnyArray, ComplexArray, DoubleArray, FloatArray, IntArray

# Images made at once: their spectra stay in the processor's cache.
_BATCH = 32


class SimulatedSource:
    """Boxed particles of one density; each image depends on the seed and its number alone.

    Every particle is one of the views at one of `angles` evenly spread angles (the first of them another one
    for each view), with an offset, CTF and noise of its own. The projections at these are all that is kept:
    with 24 angles 0.4 MB a view at 64 px. It can stand where `classify2d` wants images.

    Parameters
    ----------
    n, box_px : int
    pixel_size_angstrom : float
    classes : int
        Number of distinct views.
    angles : int
        In-plane angles of each view.
    density : Density, optional
        By default a tetramer like beta-galactosidase.
    snr : float
        Mean square of the signal within the particle's diameter over the variance of the noise.
    max_offset_px : float
        Offsets are uniform in a disc of this radius.
    coloured_noise : float
        See `noise_amplitude`; 0 is white.
    seed : int

    Attributes
    ----------
    class_index : (n,) int64
        View of each image.
    views_deg : (classes, 2) float64
        rot and tilt of each view.
    psi_deg : (n,) float64
    offsets_px : (n, 2) float64
        x and y that moved by bring the particle to pixel box//2 (rlnOriginX/Y).
    ctf_rows : (n, 9) float64
        Columns of `Backend.ctf`.

    Raises
    ------
    InputError
        If a number makes no sense.
    """

    class_index: IntArray
    views_deg: DoubleArray
    psi_deg: DoubleArray
    offsets_px: DoubleArray
    ctf_rows: DoubleArray

    def __init__(
        self,
        n: int,
        box_px: int = 64,
        pixel_size_angstrom: float = 3.54,
        *,
        classes: int = 50,
        angles: int = 24,
        density: Density | None = None,
        snr: float = 0.05,
        max_offset_px: float = 3.0,
        coloured_noise: float = 3.6,
        seed: int = 0,
    ) -> None:
        check_numbers(n, box_px, pixel_size_angstrom, snr, classes)
        density = density or beta_galactosidase()
        rng = np.random.default_rng(seed)
        self._seed, self._shape = seed, (box_px, box_px)
        self._kernel = get_backend("cpu").ctf
        self._grid = frequency_grid(self._shape, pixel_size_angstrom)
        self._cycles_per_pixel = (self._grid * pixel_size_angstrom).astype(np.float32)
        self._amplitude = noise_amplitude(self._shape, pixel_size_angstrom, coloured_noise)

        views = random_orientations(classes, rng)
        psi = views[:, 2:] + np.arange(angles) * (360.0 / angles)
        poses = np.concatenate([np.repeat(views[:, :2], angles, axis=0), psi.reshape(-1, 1)], axis=1)
        self.views_deg = views[:, :2]
        self.class_index = rng.integers(classes, size=n)
        self._projection = self.class_index * angles + rng.integers(angles, size=n)
        self.psi_deg = poses[self._projection, 2]
        self.offsets_px = in_disc(n, max_offset_px, rng)
        self.ctf_rows = ctf_rows(n, rng)

        projections = density.project(rotation_matrices(poses), box_px, pixel_size_angstrom)
        self._spectra = forward(projections)
        disc = soft_circle(self._shape, density.diameter_angstrom / (2 * pixel_size_angstrom), 0) > 0
        some = inverse(self._signal(np.arange(min(n, 256))), self._shape)
        self._spectra *= np.float32(np.sqrt(snr / np.mean(some[:, disc].astype(np.float64) ** 2)))

    def __len__(self) -> int:
        return len(self.class_index)

    def read(self, indices: AnyArray) -> FloatArray:
        """(len(indices), box, box) float32: particles white, noise of variance 1."""
        images = np.empty((len(indices), *self._shape), dtype=np.float32)
        for first in range(0, len(indices), _BATCH):
            batch = indices[first : first + _BATCH]
            spectra = self._signal(batch)
            for spectrum, index in zip(spectra, batch, strict=True):
                noise = white_spectrum(self._shape, np.random.default_rng([self._seed, int(index)]))
                spectrum += noise * self._amplitude
            images[first : first + _BATCH] = inverse(spectra, self._shape)
        return images

    def _signal(self, indices: AnyArray) -> ComplexArray:
        """(len(indices), box, box//2 + 1) transforms of images without noise."""
        ctf = self._kernel(self.ctf_rows[indices], self._grid.reshape(-1, 2), 0, 1)
        spectra = self._spectra[self._projection[indices]] * ctf.reshape(-1, *self._amplitude.shape)
        x, y = self.offsets_px[indices].T.astype(np.float32)
        fx, fy = self._cycles_per_pixel[0, :, 0], self._cycles_per_pixel[:, 0, 1]
        spectra *= np.exp(2j * np.pi * x[:, None] * fx).astype(np.complex64)[:, None, :]
        spectra *= np.exp(2j * np.pi * y[:, None] * fy).astype(np.complex64)[:, :, None]
        return spectra
