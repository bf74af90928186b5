"""Micrographs with particles at known places."""

from dataclasses import dataclass

import numpy as np

from boxwood.backends import get_backend
from boxwood.errors import InputError
from boxwood.imaging.fourier import centred_indices, forward, frequency_grid, inverse, window_spectrum
from boxwood.imaging.polar import good_length
from boxwood.simulate.gaussians import beta_galactosidase
from boxwood.simulate.noise import noise_amplitude, white_spectrum
from boxwood.simulate.particles import Density, ctf_rows
from boxwood.simulate.rotations import random_orientations, rotation_matrices
from boxwood.typing import AnyArray, DoubleArray, FloatArray

_ATTEMPTS = 2000  # places tried for one particle before the micrograph counts as full


@dataclass(frozen=True)
class SimulatedMicrograph:
    """A micrograph and the truth about it.

    Attributes
    ----------
    image : (ny, nx) float32
        Particles dark, noise of unit variance.
    pixel_size_angstrom : float
    x, y : (n,) float64
        Centres of the particles in pixels; 0 is the centre of the first pixel.
    angles_deg : (n, 3) float64
        rot, tilt, psi.
    ctf_row : (9,) float64
        Columns of `Backend.ctf`.
    """

    image: FloatArray
    pixel_size_angstrom: float
    x: DoubleArray
    y: DoubleArray
    angles_deg: DoubleArray
    ctf_row: DoubleArray


def simulate_micrograph(
    shape: tuple[int, int] = (3838, 3710),
    pixel_size_angstrom: float = 0.885,
    *,
    density: Density | None = None,
    particles: int = 150,
    angles_deg: AnyArray | None = None,
    min_distance_angstrom: float | None = None,
    snr: float = 0.02,
    ctf_row: AnyArray | None = None,
    coloured_noise: float = 3.6,
    contaminations: int = 0,
    gradient: float = 0.0,
    seed: int | tuple[int, ...] = 0,
    backend: str = "cpu",
    threads: int = 1,
) -> SimulatedMicrograph:
    """Simulate a micrograph of particles in random places and orientations.

    Parameters
    ----------
    shape : (ny, nx)
        In pixels.
    pixel_size_angstrom : float
        Of the micrograph.
    density : Density, optional
        `GaussianPhantom` or `Volume`; by default a tetramer like beta-galactosidase.
    particles : int
        How many; their places are random.
    angles_deg : (particles, 3), optional
        rot, tilt, psi of each; by default random.
    min_distance_angstrom : float, optional
        Between the centres of particles; by default the particle's diameter, so that none overlap.
    snr : float
        Mean square of the signal (after the CTF, without the micrograph's mean) within a particle's
        diameter over the variance of the noise, both at the micrograph's pixel size.
    ctf_row : (9,), optional
        Columns as in `Backend.ctf`; by default random (`ctf_rows`).
    coloured_noise : float
        See `noise_amplitude`; 0 is white.
    contaminations : int
        Number of large dark blotches of ice.
    gradient : float
        Rise of the background from the left edge to the right, in standard deviations of the noise.
    seed : int or tuple of int
        Equal seeds give equal micrographs.
    backend : str
        See `boxwood.backends.get_backend`; computes the CTF.
    threads : int
        Of the CTF.

    Returns
    -------
    SimulatedMicrograph

    Raises
    ------
    InputError
        If the particles do not fit, or their angles have another number.
    """
    rng = np.random.default_rng(seed)
    density = density or beta_galactosidase()
    radius = density.diameter_angstrom / (2 * pixel_size_angstrom)
    distance = 2 * radius if min_distance_angstrom is None else min_distance_angstrom / pixel_size_angstrom
    row = ctf_rows(1, rng)[0] if ctf_row is None else np.asarray(ctf_row, np.float64)
    centres = place(particles, shape, margin=radius, distance=distance, rng=rng)
    angles = random_orientations(particles, rng)
    if angles_deg is not None:
        angles = np.asarray(angles_deg, np.float64)
        if angles.shape != (particles, 3):
            raise InputError(f"angles_deg has shape {angles.shape}, expected ({particles}, 3)")

    # Projections are drawn on the coarsest grid that samples them fully, and refined by padding their
    # transform; the grids are a little larger than the micrograph, for quick transforms.
    refine = max(1, int(density.finest_pixel_angstrom / pixel_size_angstrom))
    coarse = (good_length(-(-shape[0] // refine)), good_length(-(-shape[1] // refine)))
    fine = (refine * coarse[0], refine * coarse[1])
    pixel = refine * pixel_size_angstrom
    signal = np.zeros(coarse, np.float32)
    for centre, rotation in zip(centres / refine, rotation_matrices(angles), strict=True):
        _add_particle(signal, density, rotation, centre, pixel)
    grid = frequency_grid(coarse, pixel).reshape(-1, 2)
    transfer = get_backend(backend).ctf(row[None], grid, 0, threads)
    spectrum = forward(signal) * transfer.reshape(coarse[0], -1)
    if particles:
        strength = _mean_square(inverse(spectrum, coarse), centres / refine, radius / refine)
        spectrum *= np.float32(np.sqrt(snr / strength))

    noise = white_spectrum(fine, rng)
    noise *= noise_amplitude(fine, pixel_size_angstrom, coloured_noise)
    noise -= window_spectrum(spectrum, coarse, fine)
    image = np.ascontiguousarray(inverse(noise, fine)[: shape[0], : shape[1]])
    if contaminations:
        image -= _blotches(shape, contaminations, pixel_size_angstrom, rng)
    if gradient:
        image += np.linspace(-0.5 * gradient, 0.5 * gradient, shape[1], dtype=np.float32)
    x, y = centres.T
    return SimulatedMicrograph(image, pixel_size_angstrom, x, y, angles, row)


def place(
    n: int, shape: tuple[int, int], *, margin: float, distance: float, rng: np.random.Generator
) -> DoubleArray:
    """n random places (n, 2), x and y, `margin` from the edges and at least `distance` from one another.

    Raises
    ------
    InputError
        If no room is found for one of them.
    """
    high = np.array([shape[1] - 1, shape[0] - 1]) - margin
    if n and (high < margin).any():
        raise InputError(
            f"a particle of {2 * margin:.0f} px does not fit into a micrograph of {shape[1]} x {shape[0]} px"
        )
    places = np.empty((n, 2))
    for i in range(n):
        for _ in range(_ATTEMPTS):
            places[i] = rng.uniform(margin, high)
            if (((places[:i] - places[i]) ** 2).sum(axis=1) >= distance**2).all():
                break
        else:
            raise InputError(
                f"only {i} of {n} particles found room {distance:.0f} px apart in {shape[1]} x {shape[0]} "
                "px; ask for fewer, or for a smaller minimum distance"
            )
    return places


def _add_particle(
    signal: FloatArray, density: Density, rotation: DoubleArray, centre: DoubleArray, pixel_size: float
) -> None:
    """Add one projection to the micrograph, clipped at its edges."""
    box = 2 * int(np.ceil(0.55 * density.diameter_angstrom / pixel_size))
    corner = np.rint(centre).astype(int) - box // 2
    image = density.project(rotation[None], box, pixel_size, centre - np.rint(centre))[0]
    x0, y0 = np.maximum(corner, 0)
    x1, y1 = np.minimum(corner + box, signal.shape[::-1])
    signal[y0:y1, x0:x1] += image[y0 - corner[1] : y1 - corner[1], x0 - corner[0] : x1 - corner[0]]


def _mean_square(image: FloatArray, centres: DoubleArray, radius: float) -> float:
    """Mean square of an image, less its mean, in discs around places."""
    mean, reach = image.mean(dtype=np.float64), int(radius)
    offsets = centred_indices(2 * reach + 1)
    y, x = np.nonzero(np.hypot(offsets[:, None], offsets[None, :]) < radius)
    total = 0.0
    for cx, cy in np.rint(centres).astype(int):
        inside = image[
            np.clip(cy + offsets[y], 0, image.shape[0] - 1), np.clip(cx + offsets[x], 0, image.shape[1] - 1)
        ]
        total += np.mean((inside - mean) ** 2)
    return total / len(centres)


def _blotches(shape: tuple[int, int], n: int, pixel_size: float, rng: np.random.Generator) -> FloatArray:
    """Contaminations three standard deviations of the noise deep, clumps of about 600 Angstrom."""
    clumps = rng.uniform(0, shape[::-1], (n, 1, 2))
    lumps = (clumps + rng.normal(0, 150 / pixel_size, (n, 6, 2))).reshape(-1, 2)
    sigma = rng.uniform(60, 140, (len(lumps), 1)) / pixel_size
    y, x = (
        np.exp(-0.5 * ((np.arange(side) - place[:, None]) / sigma) ** 2).astype(np.float32)
        for side, place in ((shape[0], lumps[:, 1]), (shape[1], lumps[:, 0]))
    )
    # the outer exponential gives a plateau with edges, as ice crystals have
    return 3 - 3 * np.exp(-4 * (y.T @ x))
