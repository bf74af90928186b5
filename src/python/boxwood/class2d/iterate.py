"""2D classification as a sequence of iterations."""

import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import fields, replace
from typing import Any

import numpy as np

from boxwood.backends import Backend, available_threads, get_backend
from boxwood.class2d.classification import Classification
from boxwood.class2d.optics import OpticsGroup
from boxwood.class2d.parameters import Class2DParameters
from boxwood.class2d.result import IterationResult
from boxwood.class2d.source import ArraySource, ImageSource
from boxwood.errors import InputError
from boxwood.execution import Executor, Threads
from boxwood.execution.blas import one_blas_thread
from boxwood.typing import AnyArray


def classify2d(
    images: AnyArray | ImageSource,
    ctf_rows: AnyArray | None = None,
    *,
    pixel_size_angstrom: float | None = None,
    optics: Sequence[OpticsGroup] | None = None,
    optics_groups: AnyArray | None = None,
    parameters: Class2DParameters | None = None,
    ctf_mode: int = 0,
    noise_groups: AnyArray | None = None,
    micrographs: AnyArray | None = None,
    half_sets: AnyArray | None = None,
    psi_deg: AnyArray | None = None,
    offset_px: AnyArray | None = None,
    start: IterationResult | None = None,
    backend: str | Backend = "cpu",
    threads: int | None = None,
    executor: Executor | None = None,
    progress: Callable[[int, int, int], None] = lambda iteration, done, total: None,
    warn: Callable[[str], None] = lambda text: warnings.warn(text, stacklevel=4),
    **settings: Any,
) -> Iterator[IterationResult]:
    """Classify particle images in 2D by maximum likelihood, iteration by iteration.

    Parameters
    ----------
    images : (n, box, box) array of numbers, or ImageSource
        Particles, signal positive, background of mean 0 and standard deviation about 1.
    ctf_rows : (n, 9) float64, optional
        Per particle: defocus U and V (Angstrom), astigmatism angle (degree), phase shift (degree), voltage
        (kV), spherical aberration (mm), amplitude contrast, B-factor (Angstrom^2), scale. None: images are
        used as they are.
    pixel_size_angstrom : float, optional
        Of all images. Needed, unless `optics` is given.
    optics : sequence of OpticsGroup, optional
        What the images of each optics group share, where they differ. Class averages and offsets have the
        pixels and the box of the first group.
    optics_groups : (n,) int, optional
        Index into `optics` of every particle. Default: 0.
    parameters : Class2DParameters, optional
        All settings at once. Default: the tutorial's.
    ctf_mode : int
        0, or a sum of 1 (data are phase-flipped) and 2 (CTF is 1 up to its first peak).
    noise_groups : (n,) int, optional
        Index from 0 of the noise spectrum of every particle. Default: that of its optics group.
    micrographs : (n,) int, optional
        Index from 0 of the micrograph, whose grey scale is estimated. Default: one for all.
    half_sets : (n,) int, optional
        0 or 1: the half of the particles each belongs to, for the correlation of class averages between
        halves. Default: every other particle.
    psi_deg : (n,) float, optional
        Angles that are known (rlnAnglePsi), which stay where angles are not searched. Default: 0.
    offset_px : (n, 2) float, optional
        x and y of the shifts that centre the particles (rlnOriginX/Y), where they are known: the search
        starts there, or, without alignment, stays there. Default: 0.
    start : IterationResult, optional
        Go on after this iteration.
    backend : str or Backend
        See `boxwood.backends.get_backend`.
    threads : int, optional
        Of the CPU; all processors by default. The result does not depend on it.
    executor : Executor, optional
        Where batches of particles are searched; default: here, with `threads`.
    progress : callable
        Called with (iteration, particles done, particles in all).
    warn : callable
        Called with a sentence where the images look wrong as a whole or a GPU fails; default:
        `warnings.warn`.
    **settings
        Fields of `Class2DParameters`, such as ``classes=50, iterations=25, mask_diameter_angstrom=200``;
        they override those of `parameters`.

    Yields
    ------
    IterationResult
        The first model, as iteration 0 (not after `start`), and then every iteration until the last, or until
        the caller wants no more.

    Raises
    ------
    InputError
        If the shapes do not fit, a setting is unknown or out of range, or there are fewer usable particles
        than classes.

    Notes
    -----
    Sigworth, J. Struct. Biol. 122:328 (1998); Scheres et al., J. Mol. Biol. 348:139 (2005); the polar
    form and the refilling of classes are in docs/class2d.md.
    """
    run = Classification(
        images if not isinstance(images, np.ndarray) else ArraySource(images),
        ctf_rows,
        _optics(images, pixel_size_angstrom, optics),
        optics_groups,
        _with_settings(parameters or Class2DParameters(), settings),
        ctf_mode,
        noise_groups,
        micrographs,
        half_sets,
        np.zeros(len(images)) if psi_deg is None else np.asarray(psi_deg, dtype=np.float64),
        np.zeros((len(images), 2)) if offset_px is None else np.asarray(offset_px, dtype=np.float64),
        get_backend(backend, warn),
        executor or Threads(threads or available_threads()),
    )
    if start is None:
        for complaint in run.complaints:
            warn(complaint)
        with one_blas_thread():
            start = run.begin()
        yield start
    else:
        run.faults[start.faults != 0] = start.faults[start.faults != 0]
    result = start
    while not result.finished(run.parameters):
        with one_blas_thread():
            result = run.step(result, progress)
        yield result


def _optics(
    images: AnyArray | ImageSource, pixel_size_angstrom: float | None, optics: Sequence[OpticsGroup] | None
) -> Sequence[OpticsGroup]:
    if (pixel_size_angstrom is None) == (not optics):
        raise InputError("classify2d needs the pixel size of the images, or their optics groups; give one")
    if optics or len(images) == 0:
        return optics or ()
    assert pixel_size_angstrom is not None
    first = images[:1] if isinstance(images, np.ndarray) else images.read(np.arange(1))
    return (OpticsGroup(first.shape[1], pixel_size_angstrom),)


def _with_settings(parameters: Class2DParameters, settings: dict[str, Any]) -> Class2DParameters:
    known = [field.name for field in fields(Class2DParameters)]
    for name in settings:
        if name not in known:
            raise InputError(f"classify2d has no setting {name!r}; there are {', '.join(known)}")
    return replace(parameters, **settings)
