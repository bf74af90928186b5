"""One iteration of a 2D classification, read back from its files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from boxwood.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

    from boxwood.class2d.selection import ClassScores
    from boxwood.io.particles import ParticleSet
    from boxwood.typing import FloatArray


@dataclass(frozen=True)
class SavedIteration:
    """One iteration of a 2D classification, as read from its files."""

    averages_file: Path
    general: dict[str, Any]
    classes: pd.DataFrame
    groups: pd.DataFrame
    averages: FloatArray
    particles: ParticleSet
    mask_diameter_angstrom: float | None

    def scores(self, mask_diameter: float | None = None) -> ClassScores:
        """The score of every class; the mask is the classification's own, or else the whole box."""
        from boxwood.class2d.selection import score_classes

        pixel_size = float(self.general["rlnPixelSize"])
        box = self.averages.shape[-1] * pixel_size
        return score_classes(
            self.averages,
            self.classes["rlnClassDistribution"],
            self.classes["rlnEstimatedResolution"],
            pixel_size_angstrom=pixel_size,
            mask_diameter_angstrom=mask_diameter or self.mask_diameter_angstrom or box,
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
        averages_file=averages,
        general=_values(model, "model_general"),
        classes=classes,
        groups=_rows(model, "model_groups"),
        averages=images,
        particles=ParticleSet.read(data),
        mask_diameter_angstrom=_values(optimiser, "optimiser_general").get("rlnParticleDiameter"),
    )


def _rows(path: Path, name: str) -> pd.DataFrame:
    """A table of rows; one that a program wrote as a list has one row."""
    import pandas as pd

    from boxwood.io.star import read_star_table

    table = read_star_table(path, name)
    return table if isinstance(table, pd.DataFrame) else pd.DataFrame([table])


def _values(path: Path, name: str) -> dict[str, Any]:
    """A list table; empty if there is no such file."""
    return _rows(path, name).iloc[0].to_dict() if path.is_file() else {}
