"""cryoSPARC's picks, particles and class averages as RELION's tables.

* Coordinates are fractions of width and height, counted along the rows of the micrograph that cryoSPARC saw;
  shapes are (ny, nx). A centre is at fraction times size, counted from the centre of the first pixel.
* A 2D alignment turns the class average by ``pose`` radian (an image at polar angle θ shows it at θ + pose)
  and moves it by minus ``shift``, in pixels of ``alignments2D/psize_A``: RELION's psi and origin.
* Classes and images count from 0, angles are radian.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from boxwood.errors import InputError
from boxwood.io.exchange.cryosparc import Dataset, without_mark
from boxwood.io.exchange.picks import FOM, MICROGRAPH, ForeignParticles, Picks, X, Y, by_micrograph
from boxwood.io.particles import ParticleSet
from boxwood.typing import AnyArray

UID = "bwCryosparcUid"
PSI, ORIGIN_X, ORIGIN_Y, CLASS, PROBABILITY = (
    "rlnAnglePsi", "rlnOriginXAngst", "rlnOriginYAngst", "rlnClassNumber", "rlnMaxValueProbDistribution"
)  # fmt: skip
# Label, field, factor from cryoSPARC's unit to RELION's.
_CTF = (
    ("rlnDefocusU", "ctf/df1_A", 1.0),
    ("rlnDefocusV", "ctf/df2_A", 1.0),
    ("rlnDefocusAngle", "ctf/df_angle_rad", 180 / np.pi),
    ("rlnPhaseShift", "ctf/phase_shift_rad", 180 / np.pi),
    ("rlnCtfBfactor", "ctf/bfactor", 1.0),
    ("rlnCtfScalefactor", "ctf/scale", 1.0),
    ("rlnCtfMaxResolution", "ctf/ctf_fit_to_A", 1.0),
)
_OPTICS = (
    ("rlnVoltage", "ctf/accel_kv"),
    ("rlnSphericalAberration", "ctf/cs_mm"),
    ("rlnAmplitudeContrast", "ctf/amp_contrast"),
    ("rlnImagePixelSize", "blob/psize_A"),
    ("rlnMicrographPixelSize", "location/micrograph_psize_A"),
)
# Aberrations, which are not carried over, and how many numbers each has.
ABERRATIONS = {"ctf/tilt_A": 2, "ctf/trefoil_A": 2, "ctf/tetra_A": 4, "ctf/shift_A": 2, "ctf/anisomag": 4}


def contents_of(dataset: Dataset) -> str:
    """What a dataset holds: "particles", "coordinates" or "class-averages".

    Raises
    ------
    InputError
    """
    located = "location/center_x_frac" in dataset
    if "blob/path" in dataset:
        particles = located or any(n.startswith(("ctf/", "alignments")) for n in dataset.fields)
        return "particles" if particles else "class-averages"
    if located:
        return "coordinates"
    raise InputError(
        f"{dataset.source} has neither images (blob/path) nor places of particles (location/center_x_frac); "
        f"{dataset.hint}."
    )


def picks_of(dataset: Dataset) -> list[Picks]:
    """The places of particles, micrograph by micrograph, in pixels of the micrograph cryoSPARC saw."""
    table = _places(dataset)
    sizes = table.pop("size")
    return by_micrograph(table, dataset.source, lambda row: {"size": sizes.iloc[row]})


def _places(dataset: Dataset) -> pd.DataFrame:
    """Micrograph, x, y and, where there are, scores; with "size" the width and height x and y count in."""
    fractions = np.stack([dataset.numbers(f"location/center_{axis}_frac") for axis in "xy"], axis=1)
    sizes = np.ones((len(dataset), 2))
    if "location/micrograph_shape" in dataset:
        sizes = dataset.numbers("location/micrograph_shape", 2, positive=True)[:, ::-1]
    x, y = (fractions * sizes).T
    names = map(without_mark, dataset.texts("location/micrograph_path"))
    table = pd.DataFrame({X: x, Y: y, MICROGRAPH: list(names)})
    if "pick_stats/ncc_score" in dataset:
        table[FOM] = dataset.numbers("pick_stats/ncc_score")
    return table.assign(size=[(float(nx), float(ny)) for nx, ny in sizes])


def particles_of(dataset: Dataset) -> ForeignParticles:
    """Images, CTF, places and 2D alignments of particles.

    Raises
    ------
    FileFormatError, InputError
    """
    names = [without_mark(path) for path in dataset.texts("blob/path")]
    numbers = dataset.numbers("blob/idx").astype(np.int64) + 1
    table = pd.DataFrame(
        {"rlnImageName": [f"{n:06d}@{name}" for n, name in zip(numbers, names, strict=True)]}
    )
    sizes: list[tuple[float, float]] = []
    if "location/center_x_frac" in dataset:
        places = _places(dataset)
        sizes = list(places.pop("size"))
        table = pd.concat([places, table], axis=1)
    optics, table["rlnOpticsGroup"] = _optics_of(dataset)
    for label, field, factor in _CTF:
        if field in dataset:
            table[label] = dataset.numbers(field) * factor
    table = table.assign(**_alignment_of(dataset))
    table[UID] = dataset.fields["uid"].astype(str)
    left_out = [field for field in ABERRATIONS if field in dataset and np.any(dataset.fields[field])]
    if "alignments3D/pose" in dataset:
        left_out.append("alignments3D")
    return ForeignParticles(ParticleSet(optics, table, dataset.source), sizes, left_out=left_out)


def _alignment_of(dataset: Dataset) -> dict[str, AnyArray]:
    found: dict[str, AnyArray] = {}
    if "alignments2D/class" in dataset:
        found[CLASS] = dataset.numbers("alignments2D/class").astype(np.int64) + 1
    if "alignments2D/pose" in dataset:
        found[PSI] = np.degrees(dataset.numbers("alignments2D/pose"))
    if "alignments2D/shift" in dataset:
        pixel = "alignments2D/psize_A" if "alignments2D/psize_A" in dataset else "blob/psize_A"
        shift = dataset.numbers("alignments2D/shift", 2)
        found[ORIGIN_X], found[ORIGIN_Y] = (shift * dataset.numbers(pixel, positive=True)[:, None]).T
    if "alignments2D/class_posterior" in dataset:
        found[PROBABILITY] = dataset.numbers("alignments2D/class_posterior")
    return found


def _optics_of(dataset: Dataset) -> tuple[pd.DataFrame, AnyArray]:
    """One group for each exposure group and each set of optics in it; and the groups of the rows, from 1."""
    columns = {label: dataset.numbers(field) for label, field in _OPTICS if field in dataset}
    group = next((f for f in ("ctf/exp_group_id", "location/exp_group_id") if f in dataset), None)
    exposure = dataset.numbers(group) if group else np.zeros(len(dataset))
    if "rlnImagePixelSize" not in columns:
        dataset.numbers("blob/psize_A")  # says what is missing
    keys = np.stack([exposure, *columns.values()], axis=1)
    _, first, inverse = np.unique(keys, axis=0, return_index=True, return_inverse=True)
    order = np.argsort(first)
    rows = first[order]
    number = np.empty(len(order), np.int64)
    number[order] = np.arange(1, len(order) + 1)
    optics = pd.DataFrame(
        {
            "rlnOpticsGroupName": [f"opticsGroup{n}" for n in range(1, len(rows) + 1)],
            "rlnOpticsGroup": range(1, len(rows) + 1),
            **{label: values[rows] for label, values in columns.items()},
        }
    )
    if "rlnMicrographPixelSize" in optics:
        optics.insert(2, "rlnMicrographOriginalPixelSize", optics["rlnMicrographPixelSize"])
    return optics, number[inverse.reshape(-1)]


def averages_of(dataset: Dataset) -> tuple[list[str], list[int], float]:
    """Stacks and numbers (from 0) of class averages, and their pixel size in Angstrom."""
    pixels = dataset.numbers("blob/psize_A", positive=True)
    if np.ptp(pixels) > 1e-4 * pixels[0]:
        raise InputError(
            f"{dataset.source} has class averages of several pixel sizes; import them one by one."
        )
    names = [without_mark(path) for path in dataset.texts("blob/path")]
    return names, dataset.numbers("blob/idx").astype(np.int64).tolist(), float(pixels[0])
