"""One iteration of a 2D classification, read back from its files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from boxwood.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

    from boxwood.class2d.class_features import ClassFiles
    from boxwood.class2d.selection import ClassScores
    from boxwood.io.particles import ParticleSet
    from boxwood.typing import AnyArray, FloatArray, IntArray


@dataclass(frozen=True)
class SavedIteration:
    """One iteration of a 2D classification, as read from its files."""

    model_file: Path
    averages_file: Path
    general: dict[str, Any]
    classes: pd.DataFrame
    groups: pd.DataFrame
    averages: FloatArray
    particles: ParticleSet
    optimiser: dict[str, Any]
    frc: pd.DataFrame | None

    @property
    def mask_diameter_angstrom(self) -> float | None:
        """That of the classification; None if its optimiser is not there."""
        return self.optimiser.get("rlnParticleDiameter")

    def scores(self, mask_diameter: float | None = None) -> ClassScores:
        """The score of every class; the mask is the classification's own, or else the whole box."""
        from boxwood.class2d.selection import score_classes

        return score_classes(self.files(mask_diameter))

    def files(self, mask_diameter: float | None = None) -> ClassFiles:
        """What classes are judged by."""
        return class_files(
            self.averages,
            self.classes,
            float(self.general["rlnPixelSize"]),
            mask_diameter or self.mask_diameter_angstrom,
            self.frc,
        )

    def sizes(self) -> IntArray:
        """(K,) number of particles in each class."""
        numbers = self.particles.table["rlnClassNumber"].to_numpy(np.int64)
        return np.bincount(np.clip(numbers, 0, None), minlength=len(self.classes) + 1)[1:]


def class_files(
    averages: AnyArray,
    classes: pd.DataFrame,
    pixel_size: float,
    mask_diameter: float | None,
    frc: pd.DataFrame | None,
) -> ClassFiles:
    """What classes are judged by, from the tables model_classes and boxwood_frc of a model."""
    from boxwood.class2d.class_features import ClassFiles

    known = "rlnAccuracyTranslationsAngst" in classes  # RELION 3.0 has pixels, and none in iteration 0
    accuracy = (
        classes["rlnAccuracyTranslationsAngst"].to_numpy(np.float64)
        if known
        else np.full(len(classes), np.inf)
    )
    return ClassFiles(
        averages=averages,
        share=classes["rlnClassDistribution"].to_numpy(np.float64),
        accuracy_angstrom=accuracy,
        pixel_size_angstrom=pixel_size,
        mask_diameter_angstrom=mask_diameter or averages.shape[-1] * pixel_size,
        frc=None if frc is None else frc["bwHalfSetFrc"].to_numpy(np.float64).reshape(len(classes), -1),
    )


def read_iteration(path: Path) -> SavedIteration:
    """Read the model, averages and particles of the iteration that `path` (model or optimiser) belongs to."""
    from boxwood.io.mrc import read_stack
    from boxwood.io.particles import ParticleSet

    stem, _, kind = path.stem.rpartition("_")
    if kind not in ("model", "optimiser") or not stem:
        raise InputError(f"{path} is not named like run_it025_model.star or run_it025_optimiser.star.")
    model = path.with_name(f"{stem}_model.star")
    averages, data = path.with_name(f"{stem}_classes.mrcs"), path.with_name(f"{stem}_data.star")
    for needed in (model, averages, data):
        if not needed.is_file():
            raise InputError(f"{needed} is missing; it belongs to {path} and must be in the same folder.")
    optimiser = path.with_name(f"{stem}_optimiser.star")
    images = read_stack(averages)[:]
    classes = _rows(model, "model_classes")
    if len(images) != len(classes):
        raise InputError(f"{averages} has {len(images)} images, but {model} has {len(classes)} classes.")
    return SavedIteration(
        model_file=model,
        averages_file=averages,
        general=_values(model, "model_general"),
        classes=classes,
        groups=_rows(model, "model_groups"),
        averages=images,
        particles=ParticleSet.read(data),
        optimiser=_values(optimiser, "optimiser_general"),
        frc=half_set_frc(model),
    )


def half_set_frc(model: Path) -> pd.DataFrame | None:
    """How well the halves of each class agree, a row per class and ring; None if the model does not say."""
    from boxwood.io.star import read_star

    frc = read_star(model).get("boxwood_frc")
    return None if frc is None or (frc["bwHalfSetFrc"] <= -1).all() else frc


def _rows(path: Path, name: str) -> pd.DataFrame:
    """A table of rows; one that a program wrote as a list has one row."""
    import pandas as pd

    from boxwood.io.star import read_star_table

    table = read_star_table(path, name)
    return table if isinstance(table, pd.DataFrame) else pd.DataFrame([table])


def _values(path: Path, name: str) -> dict[str, Any]:
    """A list table; empty if there is no such file."""
    return _rows(path, name).iloc[0].to_dict() if path.is_file() else {}
