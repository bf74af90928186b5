"""`picking_model.star`: what adaptive or template picking has learned, to be used for more micrographs."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from boxwood.errors import FileFormatError, InputError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from boxwood.picking.adaptive import AdaptiveModel, Calibration
    from boxwood.picking.templates import Learned

FILE = "picking_model.star"
_NUMBERS = {
    "boxwoodDiameter": "diameter_angstrom",
    "boxwoodPixelsPerDiameter": "pixels_per_diameter",
    "boxwoodParticleDiameter": "particle_diameter_angstrom",
    "boxwoodProjectionMean": "mean",
    "boxwoodProjectionVariance": "variance",
    "boxwoodProjectionNoise": "noise",
    "boxwoodHighestScore": "highest",
}


def write_model(path: str | os.PathLike[str], model: AdaptiveModel, *, dialect: str = "3.1") -> None:
    """Write a model: numbers, profile, components, calibration. Lengths in Angstrom, radii in grid pixels."""
    from boxwood.io.star import write_star

    general = {label: float(getattr(model, name)) for label, name in _NUMBERS.items()}
    general |= {
        "boxwoodWhiteParticles": int(model.white_particles),
        "boxwoodConvincing": int(model.convincing),
    }
    parts = model.components
    tables = {
        "model_general": pd.DataFrame([general]),
        "model_profile": pd.DataFrame({"boxwoodProfile": model.profile}),
        "model_components": pd.DataFrame(
            {
                "boxwoodComponent": np.arange(1, len(parts) + 1),
                "boxwoodOrder": np.array([c.order for c in parts], np.int64),
                "boxwoodRatio": np.array([c.ratio for c in parts], np.float64),
                "boxwoodEnergy": model.energies,
            }
        ),
        "model_component_profiles": pd.DataFrame(
            {
                "boxwoodComponent": np.repeat(np.arange(1, len(parts) + 1), [len(c.profile) for c in parts]),
                "boxwoodProfile": np.concatenate([c.profile for c in parts] or [np.zeros(0)]),
            }
        ),
        "model_calibration": _table_of(model.calibration),
    }
    write_star(path, {name: table for name, table in tables.items() if len(table)}, dialect=dialect)


def read_model(path: str | os.PathLike[str]) -> AdaptiveModel:
    """Read what `write_model` wrote.

    Raises
    ------
    FileFormatError
        If the file is not such a model.
    """
    from boxwood.io.star import read_star
    from boxwood.picking.adaptive import AdaptiveModel, Component

    tables = read_star(path)
    try:
        general = tables["model_general"].iloc[0]
        parts = tables.get("model_components", pd.DataFrame())
        values = tables.get("model_component_profiles", pd.DataFrame())
        components = [
            Component(
                int(part["boxwoodOrder"]),
                values.loc[values["boxwoodComponent"] == part["boxwoodComponent"], "boxwoodProfile"].to_numpy(
                    np.float64
                ),
                float(part["boxwoodRatio"]),
            )
            for _, part in parts.iterrows()
        ]
        return AdaptiveModel(
            **{name: float(general[label]) for label, name in _NUMBERS.items()},
            white_particles=bool(int(general["boxwoodWhiteParticles"])),
            convincing=bool(int(general["boxwoodConvincing"])),
            profile=tables["model_profile"]["boxwoodProfile"].to_numpy(np.float64),
            components=tuple(components),
            energies=parts["boxwoodEnergy"].to_numpy(np.float64) if len(parts) else np.zeros(0),
            calibration=_calibration_of(tables["model_calibration"]),
        )
    except (KeyError, IndexError, ValueError) as error:
        raise FileFormatError(
            f"{os.fspath(path)} is not a model of adaptive picking ({error}); "
            f"give the {FILE} of an autopick job"
        ) from error


def write_learned(
    path: str | os.PathLike[str], learned: Learned, settings: Mapping[str, float], *, dialect: str = "3.1"
) -> None:
    """Write what was learned for templates, with the settings, by label, that it holds for."""
    from boxwood.io.star import write_star

    general = {
        "boxwoodDiameter": learned.diameter_angstrom,
        "boxwoodPixelsPerDiameter": learned.pixels_per_diameter,
    }
    tables = {
        "model_general": pd.DataFrame([general | dict(settings)]),
        "model_noise": pd.DataFrame({"boxwoodNoisePower": learned.noise}),
        "model_calibration": _table_of(learned.calibration),
    }
    write_star(path, tables, dialect=dialect)


def read_learned(path: str | os.PathLike[str], settings: Mapping[str, float]) -> Learned:
    """Read what `write_learned` wrote.

    Raises
    ------
    FileFormatError
        If the file is not such a model.
    InputError
        If it was learned with other settings, for which its scores mean something else.
    """
    from boxwood.io.star import read_star
    from boxwood.picking.templates import Learned

    tables = read_star(path)
    try:
        general = tables["model_general"].iloc[0]
        changed = [
            f"{label.removeprefix('boxwood')} {float(general[label]):g} (now {value:g})"
            for label, value in settings.items()
            if not np.isclose(float(general[label]), value)
        ]
        learned = Learned(
            float(general["boxwoodDiameter"]),
            float(general["boxwoodPixelsPerDiameter"]),
            tables["model_noise"]["boxwoodNoisePower"].to_numpy(np.float64),
            _calibration_of(tables["model_calibration"]),
        )
    except (KeyError, IndexError, ValueError) as error:
        raise FileFormatError(
            f"{os.fspath(path)} is not a model of template picking ({error}); "
            f"give the {FILE} of an autopick job with references and the score whitened"
        ) from error
    if changed:
        raise InputError(
            f"{os.fspath(path)} was learned with {', '.join(changed)}; give it the same, or learn anew"
        )
    return learned


def _table_of(calibration: Calibration) -> pd.DataFrame:
    return pd.DataFrame({"boxwoodScore": calibration.scores, "boxwoodLocalFdr": calibration.rates})


def _calibration_of(table: pd.DataFrame) -> Calibration:
    from boxwood.picking.adaptive import Calibration

    return Calibration(
        table["boxwoodScore"].to_numpy(np.float64), table["boxwoodLocalFdr"].to_numpy(np.float64)
    )
