"""Boxed particles whose class, orientation, offset and CTF are known."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from boxwood.backends import get_backend
from boxwood.errors import InputError
from boxwood.imaging.fourier import forward, frequency_grid, inverse
from boxwood.imaging.masks import soft_circle
from boxwood.simulate.gaussians import beta_galactosidase
from boxwood.simulate.noise import noise_amplitude, white_spectrum
from boxwood.simulate.rotations import random_orientations, rotation_matrices
from boxwood.typing import AnyArray, DoubleArray, FloatArray, IntArray

_BATCH = 256  # images transformed at once: 9 MB of spectra at a box of 64 pixels


class Density(Protocol):
    """What can be projected: `GaussianPhantom` and `Volume`."""

    @property
    def diameter_angstrom(self) -> float: ...

    @property
    def finest_pixel_angstrom(self) -> float: ...

    def project(
        self,
        rotations: DoubleArray,
        box_px: int,
        pixel_size_angstrom: float,
        shifts_px: AnyArray | float = 0.0,
    ) -> FloatArray: ...


@dataclass(frozen=True)
class SimulatedParticles:
    """Images and the truth about them.

    Attributes
    ----------
    images : (n, box, box) float32
        Particles white, noise of unit variance: as extracted, normalised and inverted.
    pixel_size_angstrom : float
    class_index : (n,) int64
        View of each image; its number if every image has a view of its own.
    angles_deg : (n, 3) float64
        rot, tilt, psi.
    offsets_px : (n, 2) float64
        x and y that moved by bring the particle to pixel box//2 (rlnOriginX/Y); it lies at minus this.
    ctf_rows : (n, 9) float64 or None
        Columns of `Backend.ctf`.
    views_deg : (k, 2) float64
        rot and tilt of each class.
    references : (k, box, box) float32
        Projections of the classes at psi = 0, centred, without CTF, on the scale of the images.
    """

    images: FloatArray
    pixel_size_angstrom: float
    class_index: IntArray
    angles_deg: DoubleArray
    offsets_px: DoubleArray
    ctf_rows: DoubleArray | None
    views_deg: DoubleArray
    references: FloatArray


def ctf_rows(
    n: int,
    rng: np.random.Generator,
    *,
    defocus_angstrom: tuple[float, float] = (8000.0, 16000.0),
    astigmatism_angstrom: float = 300.0,
    voltage_kv: float = 200.0,
    cs_mm: float = 1.4,
    amplitude_contrast: float = 0.1,
    b_factor: float = 0.0,
) -> DoubleArray:
    """Random CTF parameters: defocus uniform in a range, astigmatism of random size and direction.

    Parameters
    ----------
    n : int
        Number of images.
    rng : numpy Generator
    defocus_angstrom : (float, float)
        Range of defocus U; positive is underfocus.
    astigmatism_angstrom : float
        Defocus V is less than U by up to this.
    voltage_kv, cs_mm, amplitude_contrast : float
    b_factor : float
        Angstrom^2.

    Returns
    -------
    (n, 9) float64
        Columns of `Backend.ctf`.
    """
    rows = np.zeros((n, 9))
    rows[:, 0] = rng.uniform(*defocus_angstrom, n)
    rows[:, 1] = rows[:, 0] - rng.uniform(0, astigmatism_angstrom, n)
    rows[:, 2] = rng.uniform(0, 180, n)
    rows[:, 4:] = voltage_kv, cs_mm, amplitude_contrast, b_factor, 1.0
    return rows


def simulate_particles(
    n: int,
    box_px: int = 64,
    pixel_size_angstrom: float = 3.54,
    *,
    density: Density | None = None,
    classes: int | None = None,
    snr: float = 0.2,
    max_offset_px: float = 3.0,
    ctf: bool | AnyArray = True,
    coloured_noise: float = 3.6,
    seed: int = 0,
    backend: str = "cpu",
    threads: int = 1,
) -> SimulatedParticles:
    """Simulate boxed particles of one density.

    Parameters
    ----------
    n : int
        Number of images.
    box_px : int
        Their side.
    pixel_size_angstrom : float
        Of the images.
    density : Density, optional
        `GaussianPhantom` or `Volume`; by default a tetramer like beta-galactosidase.
    classes : int, optional
        Number of distinct views, each seen under random psi; by default every image has its own.
    snr : float
        Mean square of the signal within the particle's diameter over the variance of the noise.
    max_offset_px : float
        Offsets are uniform in a disc of this radius.
    ctf : bool or (n, 9) float64
        True for random parameters (`ctf_rows`), False for none, or columns as in `Backend.ctf`.
    coloured_noise : float
        See `noise_amplitude`; 0 is white.
    seed : int
        Equal seeds give equal particles.
    backend : str
        See `boxwood.backends.get_backend`; computes the CTF.
    threads : int
        Of the CTF.

    Returns
    -------
    SimulatedParticles

    Raises
    ------
    InputError
        If a number makes no sense.
    """
    check_numbers(n, box_px, pixel_size_angstrom, snr, classes)
    rng = np.random.default_rng(seed)
    density = density or beta_galactosidase()
    views = random_orientations(classes or n, rng)[:, :2]
    index = rng.integers(classes, size=n) if classes else np.arange(n)
    angles = np.column_stack([views[index], rng.uniform(-180, 180, n)])
    offsets = in_disc(n, max_offset_px, rng)
    rows = ctf_rows(n, rng) if ctf is True else None if ctf is False else np.asarray(ctf, np.float64)
    if rows is not None and rows.shape != (n, 9):
        raise InputError(f"ctf has shape {rows.shape}; {n} images need ({n}, 9)")

    images = density.project(rotation_matrices(angles), box_px, pixel_size_angstrom, -offsets)
    if rows is not None:
        apply_ctf(images, rows, pixel_size_angstrom, backend=backend, threads=threads)
    disc = soft_circle((box_px, box_px), density.diameter_angstrom / (2 * pixel_size_angstrom), 0) > 0
    scale = np.float32(np.sqrt(snr / np.mean(images[:, disc].astype(np.float64) ** 2)))
    images *= scale
    amplitude = noise_amplitude((box_px, box_px), pixel_size_angstrom, coloured_noise)
    for first in range(0, n, _BATCH):
        batch = images[first : first + _BATCH]
        batch += inverse(white_spectrum(batch.shape, rng) * amplitude, (box_px, box_px))
    at_rest = np.column_stack([views, np.zeros(len(views))])
    references = density.project(rotation_matrices(at_rest), box_px, pixel_size_angstrom) * scale
    return SimulatedParticles(images, pixel_size_angstrom, index, angles, offsets, rows, views, references)


def apply_ctf(
    images: FloatArray, rows: DoubleArray, pixel_size_angstrom: float, *, backend: str, threads: int
) -> None:
    """Multiply the transforms of images (n, ny, nx) by their CTFs (n, 9), in place."""
    shape = images.shape[-2:]
    kernel = get_backend(backend).ctf
    grid = frequency_grid(shape, pixel_size_angstrom)
    for first in range(0, len(images), _BATCH):
        batch = images[first : first + _BATCH]
        values = kernel(rows[first : first + _BATCH], grid.reshape(-1, 2), 0, threads)
        batch[:] = inverse(forward(batch) * values.reshape(-1, *grid.shape[:2]), shape)


def in_disc(n: int, radius: float, rng: np.random.Generator) -> DoubleArray:
    """(n, 2) points spread evenly over a disc."""
    length, angle = radius * np.sqrt(rng.random(n)), rng.uniform(0, 2 * np.pi, n)
    return np.stack([length * np.cos(angle), length * np.sin(angle)], axis=1)


def check_numbers(n: int, box_px: int, pixel_size_angstrom: float, snr: float, classes: int | None) -> None:
    """Refuse numbers that make no sense."""
    if n < 1 or box_px < 2 or (classes is not None and classes < 1):
        raise InputError(f"{n} particles of {classes or n} classes in boxes of {box_px} px cannot be made")
    if not (pixel_size_angstrom > 0 and snr > 0):
        raise InputError(f"pixel size {pixel_size_angstrom} Angstrom and SNR {snr} must both be above 0")
