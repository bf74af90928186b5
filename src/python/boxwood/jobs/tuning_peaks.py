"""The settings of a picker that tuning compares, and all peaks of each on a micrograph."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from boxwood.jobs import autopick_maps
from boxwood.jobs.autopick_options import AutopickOptions

if TYPE_CHECKING:
    from boxwood.picking.adaptive import AdaptiveModel
    from boxwood.picking.tuning import Peaks
    from boxwood.typing import DoubleArray

# Of the Laplacian of Gaussian: ranges reach so far beside the diameter, and thresholds (standard deviations
# above the mean) and parts of the usual distance are these.
HALF_RANGE = 0.1
LOG_THRESHOLDS = (-1.0, 4.0, 0.05)
LOG_PERCENT = (60.0, 70.0, 80.0, 90.0, 100.0, 120.0)
# Of the adaptive method: shares of background among peaks of a score, and distances in diameters.
LOCAL_FDR = (0.02, 0.98, 0.02)
ADAPTIVE_DISTANCE = (0.5, 0.625, 0.75, 0.875, 1.0)


@dataclass(frozen=True)
class Setting:
    """A diameter and a distance, as options of autopick; a threshold belongs to it.

    Attributes
    ----------
    diameter : float
        Angstrom.
    distance : float
        Between picks: percent of the usual (log), or Angstrom (adaptive).
    options : mapping
    """

    diameter: float
    distance: float
    options: Mapping[str, Any] = field(compare=False)


class Picker(Protocol):
    """A method of autopick, to be tuned."""

    @property
    def settings(self) -> list[Setting]: ...
    @property
    def thresholds(self) -> DoubleArray:
        """Levels, ascending."""

    def peaks(self, image: Any, name: str, pixel_size: float) -> list[Peaks]:
        """All peaks of a micrograph above the lowest threshold, for every setting."""

    def chosen(self, setting: Setting, level: float) -> dict[str, Any]:
        """Options of autopick for a setting and a threshold."""


class LogPicker:
    """Laplacian of Gaussian: a filter bank for each diameter."""

    def __init__(self, diameters: DoubleArray, common: Mapping[str, Any]) -> None:
        self.common = {"method": "log", **common}
        first, last, step = LOG_THRESHOLDS
        self.thresholds: DoubleArray = np.arange(first, last + step / 2, step)
        self.settings = [
            Setting(float(d), percent, {**self._range(float(d)), "neighbour_percent": percent})
            for d in diameters
            for percent in LOG_PERCENT
        ]

    def peaks(self, image: Any, name: str, pixel_size: float) -> list[Peaks]:
        from boxwood.picking.tuning import Peaks

        found, maps, made_for = [], None, 0.0
        for setting in self.settings:
            options = AutopickOptions.make({**self.common, **setting.options})
            if maps is None or made_for != setting.diameter:
                maps = autopick_maps.make_maps(options, image, name, pixel_size, threads=1)
                made_for = setting.diameter
            lowest = autopick_maps.pick(
                maps, options, threshold_offset=self.thresholds[0], upper_threshold=None
            )
            unit = autopick_maps.pick(maps, options, threshold_offset=self.thresholds[0] + 1)
            sigma = unit.threshold - lowest.threshold
            level = self.thresholds[0] + (lowest.fom - lowest.threshold) / max(sigma, 1e-12)
            found.append(Peaks(lowest.x * pixel_size, lowest.y * pixel_size, level))
        return found

    def chosen(self, setting: Setting, level: float) -> dict[str, Any]:
        return {**self.common, **setting.options, "threshold_offset": round(float(level), 3)}

    @staticmethod
    def _range(diameter: float) -> dict[str, float]:
        low, high = round(diameter * (1 - HALF_RANGE), 1), round(diameter * (1 + HALF_RANGE), 1)
        return {"min_diameter": low, "max_diameter": high}


class AdaptivePicker:
    """The adaptive method: what was learned has one diameter."""

    def __init__(self, model: AdaptiveModel, file: Path, common: Mapping[str, Any]) -> None:
        self.model = model
        self.common = {"method": "adaptive", "model": file, **common}
        first, last, step = LOCAL_FDR
        self.thresholds: DoubleArray = -np.arange(first, last + step / 2, step)[::-1]
        self.settings = [
            Setting(d, round(part * d, 1), {"min_distance": round(part * d, 1)})
            for d in [model.diameter_angstrom]
            for part in ADAPTIVE_DISTANCE
        ]

    def peaks(self, image: Any, name: str, pixel_size: float) -> list[Peaks]:
        from boxwood.jobs.adaptive_picking import pick
        from boxwood.picking.tuning import Peaks

        found = []
        for setting in self.settings:
            values = {**self.common, **setting.options, "max_local_fdr": -self.thresholds[0]}
            picks = pick(image, pixel_size, self.model, AutopickOptions.make(values), threads=1)
            found.append(Peaks(picks.x * pixel_size, picks.y * pixel_size, -picks.local_fdr))
        return found

    def chosen(self, setting: Setting, level: float) -> dict[str, Any]:
        return {**self.common, **setting.options, "max_local_fdr": round(-float(level), 3)}
