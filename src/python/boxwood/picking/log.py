"""Laplacian-of-Gaussian picking, with RELION's definition of filters, threshold and neighbours."""

from dataclasses import replace

import numpy as np

from boxwood.backends import Backend, available_threads, get_backend
from boxwood.errors import InputError
from boxwood.picking.geometry import filter_diameters, working_size
from boxwood.picking.peaks import FomMaps, Picks, check_range, find_peaks
from boxwood.typing import AnyArray, FloatArray

OUTLIER_SIGMA = 8.0


def pick_log(
    micrograph: AnyArray,
    pixel_size_angstrom: float,
    *,
    min_diameter: float,
    max_diameter: float,
    max_resolution: float = 20.0,
    threshold_offset: float = 0.0,
    upper_threshold: float | None = None,
    white_particles: bool = False,
    min_distance: float | None = None,
    neighbour_percent: float = 100.0,
    skip_side: int = 0,
    shrink: float = 0.0,
    fom_maps: FomMaps | None = None,
    return_fom_maps: bool = False,
    seed: int = 0,
    outside: FloatArray | None = None,
    threads: int | None = None,
    backend: str | Backend = "cpu",
) -> Picks:
    """Find particles on a micrograph as bright spots of a Laplacian-of-Gaussian filter bank.

    Parameters
    ----------
    micrograph : (ny, nx) array of numbers
        Particles dark unless `white_particles`. Neither its mean nor its scale matters.
    pixel_size_angstrom : float
        Of the micrograph.
    min_diameter, max_diameter : float
        Smallest and largest particle, Angstrom.
    max_resolution : float
        Finest detail to use, Angstrom; -1 for all of it.
    threshold_offset : float
        Standard deviations of the figure of merit to add to its mean: more is stricter.
    upper_threshold : float or None
        Likewise; peaks above are contamination.
    white_particles : bool
        Particles are bright on the micrograph.
    min_distance : float or None
        Keep picks at least this far apart (Angstrom), beyond what the filters' sizes demand.
    neighbour_percent : float
        A pick of diameter d clears (d + min_diameter) / 2 times this percentage around it.
    skip_side : int
        Pixels from the edge without picks, at least half of `min_diameter`.
    shrink : float
        0: search on the grid that holds `max_resolution`; up to 1: on this fraction of the micrograph's
        size; above: on this many pixels.
    fom_maps : FomMaps or None
        Maps of this micrograph from an earlier call with the same diameters: nothing is filtered again.
    return_fom_maps : bool
        Return them with the picks.
    seed : int
        Of the noise around a micrograph that is not square; derive it from the micrograph's name, and
        picks depend on nothing else.
    outside : (n^2 - ny nx,) float32 or None
        That noise itself, in row-major order over the square of the longer side n.
    threads : int or None
        All processors by default. Picks do not depend on it.
    backend : str or Backend
        See `boxwood.backends.get_backend`.

    Returns
    -------
    Picks
        Best first. Possibly none, with a `reason`.

    Raises
    ------
    InputError
        For an image that is not two-dimensional, is constant or has pixels that are not finite, and for
        values out of range.

    Notes
    -----
    The filter is -sigma^2 Laplace(Gaussian) with sigma = d / pi (Marr and Hildreth, Proc. R. Soc. B 207:187,
    1980; scales as Lindeberg, Int. J. Comput. Vis. 30:79, 1998), thresholds and distances are RELION 3.1's:
    docs/mathematics.md, and docs/conventions.md, "Picking", for the exact steps.
    """
    if fom_maps is None:
        fom_maps = log_fom_maps(
            micrograph,
            pixel_size_angstrom,
            min_diameter=min_diameter,
            max_diameter=max_diameter,
            max_resolution=max_resolution,
            white_particles=white_particles,
            shrink=shrink,
            seed=seed,
            outside=outside,
            threads=threads,
            backend=backend,
        )
    elif fom_maps.shape != np.shape(micrograph):
        raise InputError(
            f"the figure-of-merit maps are of a micrograph of shape {fom_maps.shape}, this one is "
            f"{np.shape(micrograph)}; give the maps that were made from it"
        )
    else:
        fom_maps = replace(
            fom_maps,
            pixel_size_angstrom=pixel_size_angstrom,
            min_diameter=min_diameter,
            max_diameter=max_diameter,
        )
    picks = find_peaks(
        fom_maps,
        threshold_offset=threshold_offset,
        upper_threshold=upper_threshold,
        min_distance=min_distance,
        neighbour_percent=neighbour_percent,
        skip_side=skip_side,
        backend=backend,
    )
    return replace(picks, fom_maps=fom_maps) if return_fom_maps else picks


def log_fom_maps(
    micrograph: AnyArray,
    pixel_size_angstrom: float,
    *,
    min_diameter: float,
    max_diameter: float,
    max_resolution: float = 20.0,
    white_particles: bool = False,
    shrink: float = 0.0,
    seed: int = 0,
    outside: FloatArray | None = None,
    threads: int | None = None,
    backend: str | Backend = "cpu",
) -> FomMaps:
    """Filter a micrograph; parameters as in `pick_log`. Threshold and distances come later (`find_peaks`)."""
    image = checked_image(micrograph)
    check_range("pixel_size_angstrom", pixel_size_angstrom, above=0)
    check_range("min_diameter", min_diameter, at_least=2.5)
    check_range("max_diameter", max_diameter, at_least=min_diameter)
    check_range("shrink", shrink, at_least=0)
    if not (max_resolution < 0 or max_resolution >= pixel_size_angstrom):
        raise InputError(
            f"max_resolution is {max_resolution:g} A, expected at least the pixel size "
            f"{pixel_size_angstrom:g} A, or -1 for all detail"
        )
    n = max(image.shape)
    if shrink > 1 and shrink >= n:
        raise InputError(f"shrink is {shrink:g} pixels, expected fewer than the micrograph's {n}")
    size = working_size(n, pixel_size_angstrom, max_resolution, shrink)
    if outside is None:
        outside = np.random.default_rng(seed).standard_normal(n * n - image.size, dtype=np.float32)
    diameters = filter_diameters(min_diameter, max_diameter)
    best, index, mean, sigma = get_backend(backend).log_pick_maps(
        image,
        np.ascontiguousarray(outside, np.float32),
        size,
        (0.5 * n * pixel_size_angstrom / diameters) ** 2,
        OUTLIER_SIGMA,
        1.0 if white_particles else -1.0,
        threads or available_threads(),
    )
    if not np.isfinite(sigma):
        bad = image.size - int(np.isfinite(image).sum())
        raise InputError(f"{bad} of the micrograph's {image.size} pixels are not finite; leave it out")
    if sigma == 0:
        raise InputError(f"all pixels of the micrograph are {mean:g}, so nothing can be found; leave it out")
    return FomMaps(
        best=best,
        size=diameters.astype(np.float32)[index],
        shape=(image.shape[0], image.shape[1]),
        pixel_size_angstrom=pixel_size_angstrom,
        min_diameter=min_diameter,
        max_diameter=max_diameter,
    )


def checked_image(micrograph: AnyArray) -> FloatArray:
    """The micrograph as float32.

    Raises
    ------
    InputError
        If it is no two-dimensional image of real numbers.
    """
    image = np.asarray(micrograph)
    if image.ndim != 2 or image.size < 2 or image.dtype.kind not in "fiub":
        raise InputError(
            f"the micrograph is an array of shape {image.shape} and type {image.dtype}, expected a "
            "two-dimensional image of real numbers"
        )
    return np.ascontiguousarray(image, np.float32)
