"""Particle extraction, box by box; the steps are in docs/conventions.md, "Extraction"."""

import numpy as np

from boxwood.typing import AnyArray, DoubleArray

CONSTANT, NOT_FINITE = 1, 2


def extract(
    micrograph: AnyArray,
    centres: AnyArray,
    shifts: AnyArray | None,
    filters: AnyArray | None,
    fill: float,
    box: int,
    scaled: int,
    window: int,
    background_radius: float,
    ramp: bool,
    white_dust: float,
    black_dust: float,
    invert: bool,
    seed: int,
    threads: int = 1,
) -> tuple[DoubleArray, AnyArray]:
    """See `boxwood.backends.protocol.Backend.extract`; here in float64."""
    micrograph = np.asarray(micrograph, np.float64)
    images = np.zeros((len(centres), window, window))
    faults = np.zeros(len(centres), np.int32)
    for i, centre in enumerate(np.asarray(centres)):
        if filters is None:
            image = cut(micrograph, centre, box)
        else:
            image = cut_filtered(micrograph, centre, box, filters[i if len(filters) > 1 else 0], fill)
        if not np.isfinite(image).all():
            faults[i] = NOT_FINITE
            continue
        image = rescale(image, scaled, np.zeros(2) if shifts is None else shifts[i])
        edge = scaled // 2 - window // 2
        image = image[edge : edge + window, edge : edge + window]
        if background_radius >= 0:
            image, constant = normalise(image, background_radius, ramp, white_dust, black_dust, seed, centre)
            faults[i] = CONSTANT if constant else 0
        images[i] = -image if invert else image
    return images, faults


def box_indices(centre: AnyArray, box: int) -> tuple[AnyArray, AnyArray]:
    """Rows and columns of the micrograph that a box covers."""
    x, y = (int(c) for c in centre)
    offsets = np.arange(-(box // 2), box // 2)
    return y + offsets, x + offsets


def cut(micrograph: DoubleArray, centre: AnyArray, box: int) -> DoubleArray:
    """Box whose pixels outside the micrograph repeat the nearest pixel inside."""
    y, x = box_indices(centre, box)
    ny, nx = micrograph.shape
    return micrograph[np.ix_(np.clip(y, 0, ny - 1), np.clip(x, 0, nx - 1))]


def cut_filtered(
    micrograph: DoubleArray, centre: AnyArray, box: int, spectrum_factor: AnyArray, fill: float
) -> DoubleArray:
    """Box cut from a wider one that was filtered in Fourier space; `fill` surrounds the micrograph."""
    ny, nx = micrograph.shape
    wide = len(spectrum_factor)
    y, x = box_indices(centre, wide)
    inside = ((y >= 0) & (y < ny))[:, None] & ((x >= 0) & (x < nx))
    image = np.where(inside, cut(micrograph, centre, wide), fill)
    image = np.fft.irfft2(np.fft.rfft2(image) * spectrum_factor, s=image.shape)
    y, x = box_indices(centre, box)
    edge = wide // 2 - box // 2
    rows = np.clip(y, 0, ny - 1) - y[0] + edge
    columns = np.clip(x, 0, nx - 1) - x[0] + edge
    return image[np.ix_(rows, columns)]


def rescale(image: DoubleArray, size: int, shift: AnyArray) -> DoubleArray:
    """Another grid over the same area, by copying coefficients of equal signed frequency; then a shift.

    A finer grid gets the circle of frequencies that the box resolves in every direction, not its corners.
    """
    box = len(image)
    less = min(box, size)
    rows = np.where(np.arange(less) <= less // 2, np.arange(less), np.arange(less) - less)
    columns = np.arange(less // 2 + 1)
    phase = np.exp(-2j * np.pi * (columns * float(shift[0]) + rows[:, None] * float(shift[1])) / box)
    resolved = columns**2 + rows[:, None] ** 2 <= (box / 2) ** 2 if size > box else 1
    spectrum = np.zeros((size, size // 2 + 1), np.complex128)
    spectrum[np.ix_(rows % size, columns)] = (
        np.fft.rfft2(image)[np.ix_(rows % box, columns)] * phase * resolved
    )
    return np.fft.irfft2(spectrum, s=(size, size)) * (size / box) ** 2


def normalise(
    image: DoubleArray,
    radius: float,
    ramp: bool,
    white_dust: float,
    black_dust: float,
    seed: int,
    centre: AnyArray,
) -> tuple[DoubleArray, bool]:
    """Image whose background has mean 0 and standard deviation 1, and whether it has no contrast at all."""
    x = np.arange(len(image)) - len(image) // 2
    background = x[:, None] ** 2 + x**2 > float(radius) ** 2
    mean, deviation = image[background].mean(), image[background].std()
    contrast = deviation
    if white_dust > 0 or black_dust > 0:
        dust = np.zeros(image.shape, bool)
        if white_dust > 0:
            dust |= image > mean + white_dust * deviation
        if black_dust > 0:
            dust |= image < mean - black_dust * deviation
        noise = normal_noise(seed, centre, image.size).reshape(image.shape)
        image = np.where(dust, mean + deviation * noise, image)
    if ramp:
        plane = np.stack(np.broadcast_arrays(x[None, :], x[:, None], 1), axis=-1).astype(np.float64)
        fit = np.linalg.lstsq(plane[background], image[background], rcond=None)[0]
        image = image - plane @ fit
    mean, deviation = image[background].mean(), image[background].std()
    if deviation <= max(1e-10, 5e-7 * contrast):
        return np.zeros(image.shape), True
    return (image - mean) / deviation, False


def normal_noise(seed: int, centre: AnyArray, n: int) -> DoubleArray:
    """The first n standard normal values of a particle's stream; src/cpp/math/noise.h."""

    def mix(z: AnyArray) -> AnyArray:
        z = z + np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return z ^ (z >> np.uint64(31))

    x, y = (int(c) & 0xFFFFFFFF for c in centre)
    with np.errstate(over="ignore"):
        key = mix(mix(np.array([seed], np.uint64)) ^ np.uint64(x << 32 | y))
        bits = mix(key + np.arange(n, dtype=np.uint64))
    u = ((bits >> np.uint64(32)) + np.uint64(1)) * 2.0**-32
    v = (bits & np.uint64(0xFFFFFFFF)) * 2.0**-32
    return np.sqrt(-2 * np.log(u)) * np.cos(2 * np.pi * v)
