"""Optics groups: what the images of one microscope session share.

RELION 3.0 wrote voltage, aberration, contrast and magnification into every row. From 3.1 on they stand once,
in a table of optics groups; the first part of this module makes that table, as `relion_convert_star` does.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from boxwood.errors import InputError
from boxwood.typing import DoubleArray

_SHARED = ("rlnAmplitudeContrast", "rlnSphericalAberration", "rlnVoltage")
_MAGNIFICATION = ("rlnMagnification", "rlnDetectorPixelSize")
_ORIGINS = {
    f"rlnOrigin{axis}{what}": f"rlnOrigin{axis}{what}Angst" for what in ("", "Prior") for axis in "XYZ"
}


def split_optics(table: pd.DataFrame, pixel_labels: tuple[str, ...]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Move what rows share into optics groups: RELION 3.0's table in, 3.1's two tables out.

    Groups are the distinct sets of magnification, detector pixel, voltage, aberration and contrast, in the
    order of their first rows. Origins in pixels become Angstrom.

    Parameters
    ----------
    table : DataFrame
        Without optics groups, or with their numbers and no table of them.
    pixel_labels : tuple of str
        The optics columns that get the pixel size, where the table tells it.

    Returns
    -------
    optics, table : DataFrame
    """
    keys = [label for label in (*_SHARED, *_MAGNIFICATION) if label in table]
    group = table["rlnOpticsGroup"] if "rlnOpticsGroup" in table else _numbered(table, keys)
    rows = group.drop_duplicates().index if len(table) else table.index
    first = table.loc[rows]
    numbers = group.loc[rows].to_numpy()
    optics = pd.DataFrame(
        {"rlnOpticsGroup": numbers, "rlnOpticsGroupName": [f"opticsGroup{number}" for number in numbers]}
    )
    for label in keys:
        if label not in _MAGNIFICATION:
            optics[label] = first[label].to_numpy()
    table = table.drop(columns=keys).assign(rlnOpticsGroup=group)
    if all(label in keys for label in _MAGNIFICATION):
        pixel = 1e4 * first["rlnDetectorPixelSize"].to_numpy() / first["rlnMagnification"].to_numpy()
        for label in pixel_labels:
            optics[label] = pixel
        row_pixel = pd.Series(pixel, index=numbers).reindex(group).to_numpy()
        for old, new in _ORIGINS.items():
            if old in table:
                table[new] = table.pop(old).to_numpy() * row_pixel
    return optics, table


def _numbered(table: pd.DataFrame, keys: list[str]) -> pd.Series:
    if not keys:
        return pd.Series(1, index=table.index, dtype=np.int64)
    return table.groupby(keys, sort=False, dropna=False).ngroup().astype(np.int64) + 1


def per_row(
    optics: pd.DataFrame,
    table: pd.DataFrame,
    label: str,
    source: str,
    *,
    positive: bool = False,
    complete: bool = True,
) -> DoubleArray:
    """A value of the optics groups for every row of a table; pixel sizes, for one, must be positive.

    Unless it must be `complete`, it may have values that are no numbers.

    Raises
    ------
    InputError
        The optics have no such column, or a group's value is no number, or not positive where it must be.
    """
    if label not in optics:
        raise InputError(f"{source} has no _{label} in its optics groups; add that column to data_optics.")
    by_group = optics.set_index("rlnOpticsGroup")[label].astype(np.float64)
    values = by_group.reindex(table["rlnOpticsGroup"]).to_numpy(dtype=np.float64)
    if complete and not (np.isfinite(values) & ((values > 0) | (not positive))).all():
        wanted = "positive number" if positive else "number"
        raise InputError(f"{source} has a _{label} in data_optics that is no {wanted}; correct it.")
    return values
