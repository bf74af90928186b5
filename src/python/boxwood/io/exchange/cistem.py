"""cisTEM's STAR files of particles.

One table without a name, whose labels begin with ``_cisTEM``; an image is a position (from 1) in one stack.
Angles are RELION's. Shifts are Angstrom and say where the particle lies in its box, so they are minus
RELION's origins. The phase shift is in radian, and positions on micrographs are in Angstrom.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pandas as pd

from boxwood.errors import FileFormatError, InputError
from boxwood.io.atomic import write_text
from boxwood.io.exchange.picks import (
    FOM,
    MICROGRAPH,
    ForeignParticles,
    Picks,
    X,
    Y,
    by_micrograph,
    numbers,
)
from boxwood.io.particles import ParticleSet, ctf_rows
from boxwood.io.star import read_star
from boxwood.typing import AnyArray

# RELION's label, cisTEM's, and the factor from cisTEM's unit to RELION's.
_ROWS = (
    ("rlnAnglePsi", "AnglePsi", 1.0),
    ("rlnAngleTilt", "AngleTheta", 1.0),
    ("rlnAngleRot", "AnglePhi", 1.0),
    ("rlnOriginXAngst", "XShift", -1.0),
    ("rlnOriginYAngst", "YShift", -1.0),
    ("rlnDefocusU", "Defocus1", 1.0),
    ("rlnDefocusV", "Defocus2", 1.0),
    ("rlnDefocusAngle", "DefocusAngle", 1.0),
    ("rlnPhaseShift", "PhaseShift", 180 / np.pi),
)
_OPTICS = (
    ("rlnVoltage", "MicroscopeVoltagekV"),
    ("rlnSphericalAberration", "MicroscopeCsMM"),
    ("rlnAmplitudeContrast", "AmplitudeContrast"),
    ("rlnImagePixelSize", "PixelSize"),
)
_IMAGE, _STACK, _POSITION_X, _POSITION_Y = (
    f"cisTEM{name}"
    for name in ("OriginalImageFilename", "StackFilename", "OriginalXPosition", "OriginalYPosition")
)
# In cisTEM's order; what RELION does not know has the value that cisTEM gives new particles.
_WRITTEN = {
    "PositionInStack": 0, "AnglePsi": 0.0, "AngleTheta": 0.0, "AnglePhi": 0.0, "XShift": 0.0, "YShift": 0.0,
    "Defocus1": 0.0, "Defocus2": 0.0, "DefocusAngle": 0.0, "PhaseShift": 0.0, "ImageActivity": 1,
    "Occupancy": 100.0, "LogP": 0.0, "Sigma": 1.0, "Score": 0.0, "ScoreChange": 0.0, "PixelSize": 0.0,
    "MicroscopeVoltagekV": 0.0, "MicroscopeCsMM": 0.0, "AmplitudeContrast": 0.0, "BeamTiltX": 0.0,
    "BeamTiltY": 0.0, "ImageShiftX": 0.0, "ImageShiftY": 0.0, "Best2DClass": 0, "BeamTiltGroup": 1,
    "StackFilename": "", "OriginalImageFilename": "",
}  # fmt: skip


def _table(path: Path) -> pd.DataFrame:
    for table in read_star(path).values():
        rows = pd.DataFrame([table]) if isinstance(table, dict) else table
        if any(name.startswith("cisTEM") for name in rows):
            return rows.reset_index(drop=True)
    raise FileFormatError(f"{path} has no table with labels of cisTEM; give its STAR file of particles.")


def read_cistem_picks(path: str | os.PathLike[str]) -> list[Picks]:
    """Read the places of particles on their micrographs, in Angstrom.

    Raises
    ------
    FileFormatError
        The file does not have them; cisTEM's project database does.
    """
    path = Path(path)
    return by_micrograph(_places(_table(path), path), str(path), lambda row: {"unit_angstrom": 1.0})


def _places(table: pd.DataFrame, path: Path) -> pd.DataFrame:
    for name in (_IMAGE, _POSITION_X, _POSITION_Y):
        if name not in table:
            raise FileFormatError(
                f"{path} has no _{name}; give the cisTEM project's database (NAME.db), which has the places."
            )
    x, y = (numbers(table[name], name, str(path)) for name in (_POSITION_X, _POSITION_Y))
    return pd.DataFrame({X: x, Y: y, MICROGRAPH: table[_IMAGE].astype(str)})


def read_cistem_particles(path: str | os.PathLike[str], stack: str = "") -> ForeignParticles:
    """Read particles; `stack` names the stack where the file does not, or against it.

    Raises
    ------
    FileFormatError, InputError
    """
    path = Path(path)
    source, table = str(path), _table(path)
    wanted = ("PositionInStack", "PixelSize")
    for name in wanted:
        if f"cisTEM{name}" not in table:
            raise FileFormatError(f"{path} has no _cisTEM{name}; give cisTEM's STAR file of particles.")
    files = table[_STACK].astype(str) if _STACK in table else pd.Series("", index=table.index)
    files = (
        files.where(~files.isin(["", "None", "none"]), stack) if not stack else pd.Series(stack, table.index)
    )
    if (files == "").any():
        raise InputError(f"{path} does not say the stack of its images; name it with --stack.")
    column = {
        name: numbers(table[f"cisTEM{name}"], f"cisTEM{name}", source)
        for name in (
            "PositionInStack",
            *(n for _, n, _ in _ROWS),
            *(n for _, n in _OPTICS),
            "Best2DClass",
            "Score",
        )
        if f"cisTEM{name}" in table
    }
    position = column["PositionInStack"].astype(np.int64)
    rows = pd.DataFrame({"rlnImageName": [f"{n:06d}@{f}" for n, f in zip(position, files, strict=True)]})
    if _IMAGE in table:
        rows.insert(0, MICROGRAPH, table[_IMAGE].astype(str))
    if _POSITION_X in table and _POSITION_Y in table and _IMAGE in table:
        rows = pd.concat([_places(table, path)[[X, Y]], rows], axis=1)
    values = {label: column[name] for label, name in _OPTICS if name in column}
    optics, rows["rlnOpticsGroup"] = _groups(values)
    for label, name, factor in _ROWS:
        if name in column:
            rows[label] = column[name] * factor + 0.0
    if "Best2DClass" in column and (column["Best2DClass"] > 0).any():
        rows["rlnClassNumber"] = column["Best2DClass"].astype(np.int64)
    if "Score" in column:
        rows[FOM] = column["Score"]
    tilted = [n for n in ("BeamTiltX", "BeamTiltY") if f"cisTEM{n}" in table and table[f"cisTEM{n}"].any()]
    return ForeignParticles(ParticleSet(optics, rows, source), unit_angstrom=1.0, left_out=tilted)


def _groups(values: dict[str, AnyArray]) -> tuple[pd.DataFrame, AnyArray]:
    """Optics groups of equal values, in the order of their first rows, and the groups of the rows."""
    frame = pd.DataFrame(values)
    number = frame.groupby(list(frame), sort=False).ngroup().to_numpy() + 1
    first = frame.loc[~pd.Series(number).duplicated()].reset_index(drop=True)
    first.insert(0, "rlnOpticsGroupName", [f"opticsGroup{n}" for n in range(1, len(first) + 1)])
    first.insert(1, "rlnOpticsGroup", range(1, len(first) + 1))
    return first, number


def write_cistem_particles(path: str | os.PathLike[str], particles: ParticleSet, stack: str) -> None:
    """Write particles whose images are those of `stack`, in this order.

    Raises
    ------
    InputError
        CTF parameters are missing.
    """
    table, n = particles.table, len(particles)
    u, v, angle, phase, voltage, cs, contrast, _, _ = ctf_rows(particles).T
    columns: dict[str, AnyArray] = {name: np.full(n, value) for name, value in _WRITTEN.items()}
    columns |= {"Defocus1": u, "Defocus2": v, "DefocusAngle": angle, "PhaseShift": np.radians(phase)}
    columns |= {"MicroscopeVoltagekV": voltage, "MicroscopeCsMM": cs, "AmplitudeContrast": contrast}
    columns |= {"PositionInStack": np.arange(1, n + 1), "PixelSize": particles.pixel_sizes()}
    for label, name, factor in _ROWS[:5]:
        if label in table:
            columns[name] = table[label].to_numpy(np.float64) / factor + 0.0
    if "rlnClassNumber" in table:
        columns["Best2DClass"] = table["rlnClassNumber"].to_numpy(np.int64)
    columns["StackFilename"] = np.full(n, _quoted(stack))
    names = table.get(MICROGRAPH, pd.Series("", index=table.index)).astype(str)
    columns["OriginalImageFilename"] = np.array([_quoted(name) for name in names])
    head = ["data_", "", "loop_", *(f"_cisTEM{name} #{i}" for i, name in enumerate(columns, 1))]
    formatted = [_formatted(values) for values in columns.values()]
    rows = [" ".join(row) for row in zip(*formatted, strict=True)]
    write_text(Path(path), "\n".join([*head, *rows, ""]))


def _quoted(text: str) -> str:
    quote = '"' if "'" in text else "'"
    return f"{quote}{text}{quote}"


def _formatted(values: AnyArray) -> list[str]:
    return [f"{value:.4f}" if values.dtype.kind == "f" else str(value) for value in values]
