"""What particles' tables say of images whose rows were put in reverse order."""

from __future__ import annotations

import pandas as pd

# Seen in a mirror, a particle is its mirror image: the angles belong to a density that is mirrored along y.
_OPPOSITE = ("rlnAnglePsi", "rlnAngleRot", "rlnOriginYAngst", "rlnDefocusAngle", "rlnBeamTiltY")


def turned_over_poses(table: pd.DataFrame) -> pd.DataFrame:
    """Angles, shifts and astigmatism of images that were turned over around their origins' rows.

    Twice is as it was. Coordinates on micrographs are not changed: they depend on the micrographs' heights.
    """
    return table.assign(**{label: 0.0 - table[label] for label in _OPPOSITE if label in table})
