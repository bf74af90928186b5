"""From figure-of-merit maps to picks; cheap, so thresholds can be tried without filtering again."""

from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from boxwood.backends import Backend, get_backend
from boxwood.errors import InputError
from boxwood.picking.geometry import Grid, filter_diameters, round_half_away
from boxwood.typing import AnyArray, DoubleArray, FloatArray


@dataclass(frozen=True)
class FomMaps:
    """Response of the filter bank to one micrograph, on the working grid.

    Attributes
    ----------
    best : (w, w) float32
        Largest response.
    size : (w, w) float32
        Diameter (Angstrom) of the filter that gave it.
    shape : (ny, nx)
        Of the micrograph, in pixels.
    pixel_size_angstrom : float
        Of the micrograph.
    min_diameter, max_diameter : float
        Angstrom; the filter bank follows from them.
    """

    best: FloatArray
    size: FloatArray
    shape: tuple[int, int]
    pixel_size_angstrom: float
    min_diameter: float
    max_diameter: float

    @property
    def grid(self) -> Grid:
        """Where the maps lie on the micrograph."""
        return Grid(self.shape, len(self.best))

    @property
    def scale(self) -> float:
        """Map pixels per micrograph pixel."""
        return self.grid.scale


@dataclass(frozen=True)
class Picks:
    """Particles found on one micrograph, best first.

    Attributes
    ----------
    x, y : (n,) float64
        Micrograph pixels; 0 is the centre of the first pixel.
    fom : (n,) float64
        Figure of merit: the filter's response.
    diameter : (n,) float64
        Of the filter, Angstrom.
    threshold, upper_threshold : float
        Figures of merit between which picks were taken.
    reason : str
        Why there are no picks; empty if there are.
    fom_maps : FomMaps or None
        If asked for.
    """

    x: DoubleArray
    y: DoubleArray
    fom: DoubleArray
    diameter: DoubleArray
    threshold: float
    upper_threshold: float
    reason: str = ""
    fom_maps: FomMaps | None = field(default=None, repr=False, compare=False)

    def __len__(self) -> int:
        return len(self.x)

    def table(self) -> pd.DataFrame:
        """Columns x, y, fom, diameter; one row per pick."""
        return pd.DataFrame({"x": self.x, "y": self.y, "fom": self.fom, "diameter": self.diameter})


def find_peaks(
    maps: FomMaps,
    *,
    threshold_offset: float = 0.0,
    upper_threshold: float | None = None,
    min_distance: float | None = None,
    neighbour_percent: float = 100.0,
    skip_side: int = 0,
    backend: str | Backend = "cpu",
) -> Picks:
    """Pick the peaks of figure-of-merit maps; the parameters are those of `pick_log`."""
    check_range("threshold_offset", threshold_offset)
    check_range("neighbour_percent", neighbour_percent, at_least=0)
    check_range("skip_side", skip_side, at_least=0)
    pixel, d_min = maps.pixel_size_angstrom, maps.min_diameter
    diameters, index = _filter_index(maps)
    grid = maps.grid
    reach = grid.scale / pixel * neighbour_percent / 100
    radius2 = np.array([round_half_away(reach * (d + d_min) / 2) ** 2 for d in diameters], np.int64)
    if min_distance is not None and min_distance > 0:
        radius2 = np.maximum(radius2, int(np.ceil((min_distance / pixel * grid.scale) ** 2)))
    allowed = (diameters >= d_min) & (diameters <= maps.max_diameter)
    skip = int(max(skip_side, 0.5 * d_min / pixel))
    border = grid.interior(skip)
    where, threshold, ceiling = get_backend(backend).log_pick_peaks(
        maps.best,
        index,
        allowed.astype(np.uint8),
        radius2,
        border,
        threshold_offset,
        np.inf if upper_threshold is None else upper_threshold,
        threads=1,
    )
    y, x = where[:, 0], where[:, 1]
    return Picks(
        x=grid.to_micrograph(x, 1),
        y=grid.to_micrograph(y, 0),
        fom=maps.best[y, x].astype(np.float64),
        diameter=diameters[index[y, x]],
        threshold=threshold,
        upper_threshold=ceiling,
        reason="" if len(where) else _why_none(maps, border, skip, threshold, ceiling),
    )


def _filter_index(maps: FomMaps) -> tuple[DoubleArray, AnyArray]:
    """The filter bank, and for each pixel the (first) filter of its diameter."""
    diameters = filter_diameters(maps.min_diameter, maps.max_diameter)
    bank, first = np.unique(diameters.astype(np.float32), return_index=True)
    place = np.searchsorted(bank, maps.size).clip(max=len(bank) - 1)
    if not np.array_equal(bank[place], maps.size):
        raise InputError(
            f"the figure-of-merit maps were not made for diameters {maps.min_diameter:g} to "
            f"{maps.max_diameter:g} A; compute them again or ask for the diameters they were made for"
        )
    return diameters, first[place].astype(np.uint8)


def _why_none(
    maps: FomMaps, border: tuple[int, int, int, int], skip: int, threshold: float, ceiling: float
) -> str:
    ny, nx = maps.shape
    if border[0] >= border[1] or border[2] >= border[3]:
        return f"a border of {skip} pixels leaves nothing of a micrograph of {nx} x {ny} pixels"
    if np.isnan(threshold):
        return f"nothing on it looks {maps.min_diameter:g} to {maps.max_diameter:g} A large"
    if ceiling <= threshold:
        return f"the upper threshold {ceiling:.4g} does not exceed the threshold {threshold:.4g}"
    return f"no peak lies between the thresholds {threshold:.4g} and {ceiling:.4g}"


def check_range(name: str, value: float, *, at_least: float = -np.inf, above: float = -np.inf) -> None:
    """Refuse a parameter that is not finite or out of range."""
    if not (np.isfinite(value) and value >= at_least and value > above):
        wanted = f"more than {above:g}" if above > -np.inf else f"at least {at_least:g}"
        raise InputError(f"{name} is {value:g}, expected a number that is {wanted}")
