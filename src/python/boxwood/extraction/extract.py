"""Cut particles out of one micrograph."""

import warnings
from dataclasses import dataclass
from enum import IntEnum
from typing import Literal

import numpy as np

from boxwood.backends import Backend, available_threads, get_backend
from boxwood.errors import InputError
from boxwood.extraction.centres import box_centres, overlaps, touches_edge
from boxwood.extraction.ctf_correction import CtfCorrection
from boxwood.extraction.sizes import background_radius, check_box, rescaled_size
from boxwood.typing import AnyArray, FloatArray, IntArray


class Fault(IntEnum):
    """What is wrong with a particle's pixels; its image is zero then."""

    NONE = 0
    CONSTANT = 1
    NOT_FINITE = 2


@dataclass(frozen=True)
class ExtractedParticles:
    """Particles of one micrograph.

    Attributes
    ----------
    images : (n, size, size) float32
    kept : (n,) int64
        Which of the given coordinates the images belong to, ascending.
    outside : (m,) int64
        Which of the given coordinates have their whole box outside the micrograph, and no image.
    touches_edge : (n,) bool
        Whether the box reaches beyond the micrograph.
    faults : (n,) int32
        See `Fault`.
    pixel_size_angstrom : float
    """

    images: FloatArray
    kept: IntArray
    outside: IntArray
    touches_edge: AnyArray
    faults: AnyArray
    pixel_size_angstrom: float


def extract_particles(
    micrograph: AnyArray,
    x: AnyArray,
    y: AnyArray,
    *,
    pixel_size_angstrom: float,
    box_size: int,
    rescale: int | None = None,
    window: int | None = None,
    normalise: bool = True,
    background_diameter: float | None = None,
    ramp: bool = True,
    white_dust: float | None = None,
    black_dust: float | None = None,
    invert_contrast: bool = True,
    recentre_subpixel: bool = False,
    edge: Literal["replicate", "drop"] = "replicate",
    ctf: CtfCorrection | None = None,
    seed: int = 0,
    threads: int | None = None,
    backend: str | Backend = "cpu",
) -> ExtractedParticles:
    """Cut boxes out of a micrograph, rescale them in Fourier space and normalise their background.

    The result is RELION's to float32 rounding: docs/conventions.md, "Extraction".

    Parameters
    ----------
    micrograph : (ny, nx)
        Real numbers.
    x, y : (n,)
        Particle centres in micrograph pixels. RELION's rule: the fraction is cut off.
    pixel_size_angstrom : float
        Of the micrograph.
    box_size : int
        Side of the box in micrograph pixels, even.
    rescale : int, optional
        Side after rescaling; may be larger than the box.
    window : int, optional
        Side of the output, cropped from the rescaled box.
    normalise : bool
        Bring the background to mean 0 and standard deviation 1.
    background_diameter : float, optional
        Of the particle in micrograph pixels; outside is background. By default 0.75 of the box.
    ramp : bool
        Subtract the plane fitted to the background while normalising.
    white_dust, black_dust : float, optional
        While normalising, replace pixels so many standard deviations above or below the background by noise.
    invert_contrast : bool
        Multiply by -1: dark particles become bright.
    recentre_subpixel : bool
        Do not cut the fraction of the coordinates off: shift the box so that the centre is exact.
    edge : {"replicate", "drop"}
        A box that reaches beyond the micrograph repeats its nearest pixels, or is left out.
    ctf : CtfCorrection, optional
        Correct the boxes for their CTF.
    seed : int
        Of the noise that replaces dust.
    threads : int, optional
        All processors by default. The result does not depend on it.
    backend : str or Backend
        See `boxwood.backends.get_backend`.

    Returns
    -------
    ExtractedParticles
        In the order of the coordinates, without those whose box lies wholly outside, of which there is a
        warning.

    Raises
    ------
    InputError
        If the micrograph is no two-dimensional image of real numbers, x and y do not fit, or a size is odd,
        not positive, or larger than what it is cut from.

    Notes
    -----
    What is computed, and why: docs/mathematics.md, "Extraction".
    """
    micrograph = _checked_micrograph(micrograph)
    centres, shifts = box_centres(x, y, recentre_subpixel)
    box = check_box("box_size", box_size)
    scaled = rescaled_size(box, rescale)
    if rescale is not None and scaled != rescale:
        warnings.warn(f"rescale is {rescale} px, an odd number; {scaled} px is used", stacklevel=2)
    size = check_box("window", window) if window else scaled
    if size > scaled:
        raise InputError(f"window is {size} px, but the rescaled box has {scaled} px; choose less, or none")
    radius = background_radius(background_diameter, box, scaled, size) if normalise else -1.0
    if not pixel_size_angstrom > 0:
        raise InputError(f"pixel_size_angstrom is {pixel_size_angstrom}; it must be above 0 Å")
    if edge not in ("replicate", "drop"):
        raise InputError(f"edge is {edge!r}; choose replicate or drop")
    if ctf:
        ctf.check(len(centres), box)

    here, touches = overlaps(micrograph.shape, centres, box), touches_edge(micrograph.shape, centres, box)
    outside = np.flatnonzero(~here)
    if len(outside):
        warnings.warn(
            f"{len(outside)} of {len(here)} particles lie wholly outside the micrograph and are dropped",
            stacklevel=2,
        )
    kept = np.flatnonzero(here & ~touches if edge == "drop" else here)
    images = np.empty((len(kept), size, size), np.float32)
    faults = np.zeros(len(kept), np.int32)
    kernels, threads = get_backend(backend), threads or available_threads()
    everything = [(slice(None), None)]
    batches = ctf.batches(kept, box, pixel_size_angstrom, kernels, threads) if ctf else everything
    fill = float(micrograph.mean(dtype=np.float64)) if ctf else 0.0
    for part, filters in batches:
        images[part], faults[part] = kernels.extract(
            micrograph,
            centres[kept[part]],
            None if shifts is None else shifts[kept[part]],
            filters,
            fill,
            box,
            scaled,
            size,
            radius,
            ramp,
            white_dust or 0.0,
            black_dust or 0.0,
            invert_contrast,
            seed,
            threads,
        )
    return ExtractedParticles(
        images=images,
        kept=kept,
        outside=outside,
        touches_edge=touches[kept],
        faults=faults,
        pixel_size_angstrom=pixel_size_angstrom * box / scaled,
    )


def _checked_micrograph(micrograph: AnyArray) -> FloatArray:
    given = np.asarray(micrograph)
    if given.ndim != 2 or not given.size or given.dtype.kind not in "fiu":
        raise InputError(
            f"the micrograph is an array of {given.dtype} with shape {given.shape}; "
            "expected real numbers with shape (ny, nx)"
        )
    return np.ascontiguousarray(given, np.float32)
