"""What tuning has found: every setting's expectations, the chosen one, and its options of autopick."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from boxwood.jobs.autopick_options import AutopickOptions
from boxwood.options.arguments import as_command

if TYPE_CHECKING:
    from boxwood.jobs.tuning_judgement import Judged
    from boxwood.jobs.tuning_peaks import Picker, Setting
    from boxwood.picking.tuning import Curve, Particles, Peaks
    from boxwood.typing import DoubleArray

# A pick lies within so many particle diameters of its particle's centre.
HIT = 0.25
_TUNED = (
    *("min_diameter", "max_diameter", "neighbour_percent", "min_distance"),
    *("threshold_offset", "max_local_fdr"),
)


@dataclass(frozen=True)
class Choice:
    """The setting that was chosen, and what all are expected to find."""

    curves: Mapping[Setting, Curve]
    setting: Setting
    best: int  # among the thresholds
    lists: Mapping[str, Peaks]  # of the setting, by micrograph

    @property
    def curve(self) -> Curve:
        return self.curves[self.setting]

    def of(self, picker: Picker, peaks: list[Peaks]) -> Peaks:
        """Of a list per setting, that of the chosen one."""
        return peaks[picker.settings.index(self.setting)]

    def picks(self) -> dict[str, Peaks]:
        """Those of the chosen setting, by micrograph."""
        from boxwood.picking.tuning import Peaks

        least = self.curve.threshold[self.best]
        kept = {name: peaks.level >= least for name, peaks in self.lists.items()}
        return {
            name: Peaks(p.x[kept[name]], p.y[kept[name]], p.level[kept[name]])
            for name, p in self.lists.items()
        }


def choose(
    picker: Picker,
    lists: Mapping[str, list[Peaks]],
    particles: Mapping[str, Particles],
    hit: float,
    penalty: float | None = None,
) -> Choice:
    """The best of all settings and thresholds."""
    from boxwood.picking.tuning import expected

    of = {s: {name: peaks[i] for name, peaks in lists.items()} for i, s in enumerate(picker.settings)}
    curves = {s: expected(of[s], particles, picker.thresholds, hit) for s in picker.settings}
    setting = max(curves, key=lambda s: float(curves[s].value(penalty).max()))
    return Choice(curves, setting, curves[setting].best(penalty), of[setting])


@dataclass(frozen=True)
class Tuned:
    """The choice, what it was made from, and what classification says of its picks alone.

    Attributes
    ----------
    picker : Picker
    choice : Choice
    candidates, confirmed : Judged
        All places, and the chosen picks.
    files : mapping of micrograph to Path
    pixel_size : float
        Of the micrographs, Angstrom.
    penalty : float or None
    """

    picker: Picker
    choice: Choice
    candidates: Judged
    confirmed: Judged
    files: Mapping[str, Path]
    pixel_size: float
    penalty: float | None

    @property
    def options(self) -> dict[str, Any]:
        """Of autopick."""
        choice = self.choice
        return self.picker.chosen(choice.setting, choice.curve.threshold[choice.best])

    @property
    def command(self) -> str:
        """What picks all micrographs so."""
        return shlex.join(["boxwood", "autopick", *as_command(AutopickOptions.make(self.options))])

    def likely(self, judged: Judged) -> dict[str, DoubleArray]:
        """The probability of every pick to find a particle, by micrograph."""
        from boxwood.picking.tuning import gains

        hit = HIT * judged.diameter_angstrom
        return {name: gains(p, judged.particles[name], hit) for name, p in self.choice.picks().items()}

    def numbers(self) -> dict[str, float]:
        curve, best = self.choice.curve, self.choice.best
        likely = np.concatenate(list(self.likely(self.confirmed).values()))
        return {
            "picks": int(curve.picks[best]),
            "precision": float(curve.precision[best]),
            "recall": float(curve.recall[best]),
            "f1": float(curve.f1[best]),
            "confirmed_precision": float(likely.mean()) if len(likely) else 0.0,
            "particle_diameter_angstrom": float(self.candidates.diameter_angstrom),
        }

    def sentence(self) -> str:
        told = [f"{n.replace('_', ' ')} {v:g}" for n, v in self.options.items() if n in _TUNED]
        n = self.numbers()
        return (
            f"{', '.join(told)}: expected precision {n['precision']:.2f}, confirmed "
            f"{n['confirmed_precision']:.2f}; expected recall {n['recall']:.2f}"
        )

    def table(self) -> pd.DataFrame:
        """A row per setting, at its best threshold, the best setting first."""
        rows = []
        for setting, curve in self.choice.curves.items():
            value = curve.value(self.penalty)
            i = curve.best(self.penalty)
            rows.append(
                {
                    "bwDiameter": setting.diameter,
                    "bwDistance": setting.distance,
                    "bwThreshold": curve.threshold[i],
                    "bwPicks": int(curve.picks[i]),
                    "bwGoodPicks": curve.good[i],
                    "bwPrecision": curve.precision[i],
                    "bwRecall": curve.recall[i],
                    "bwF1": curve.f1[i],
                    "bwValue": value[i],
                }
            )
        return pd.DataFrame(rows).sort_values("bwValue", ascending=False, kind="stable", ignore_index=True)
