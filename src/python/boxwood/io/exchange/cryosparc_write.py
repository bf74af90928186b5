"""RELION's particles, picks and class averages as cryoSPARC's datasets; conventions are those of reading."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from boxwood.io.exchange.cryosparc import Dataset, without_mark
from boxwood.io.exchange.cryosparc_particles import (
    ABERRATIONS,
    CLASS,
    ORIGIN_X,
    ORIGIN_Y,
    PROBABILITY,
    PSI,
    UID,
)
from boxwood.io.exchange.picks import FOM, MICROGRAPH
from boxwood.io.mrc import split_image_name
from boxwood.io.particles import ParticleSet, ctf_rows
from boxwood.typing import AnyArray, DoubleArray


@dataclass(frozen=True)
class Exposure:
    """A micrograph as cryoSPARC knows it."""

    path: str
    nx: int
    ny: int
    pixel_size_angstrom: float
    uid: int
    group: int = 1


def exposures_of(dataset: Dataset) -> list[Exposure]:
    """The micrographs of a dataset of exposures."""
    paths = [without_mark(path) for path in dataset.texts("micrograph_blob/path")]
    shapes = dataset.numbers("micrograph_blob/shape", 2, positive=True).astype(int)
    pixels = dataset.numbers("micrograph_blob/psize_A", positive=True)
    group = "mscope_params/exp_group_id"
    groups = dataset.numbers(group).astype(int) if group in dataset else np.ones(len(dataset), int)
    rows = zip(paths, shapes, pixels, dataset.fields["uid"], groups, strict=True)
    return [Exposure(path, nx, ny, pixel, int(uid), int(g)) for path, (ny, nx), pixel, uid, g in rows]


def location_fields(
    micrographs: Sequence[str], fractions: DoubleArray, exposures: Mapping[str, Exposure]
) -> dict[str, AnyArray]:
    """The fields ``location/*`` of particles at fractions (n, 2) of widths and heights."""
    seen = [exposures[name] for name in micrographs]
    return {
        "location/micrograph_uid": np.array([e.uid for e in seen], "<u8"),
        "location/exp_group_id": np.array([e.group for e in seen], "<u4"),
        "location/micrograph_path": np.array([e.path for e in seen], dtype=str),
        "location/micrograph_shape": np.array([(e.ny, e.nx) for e in seen], "<u4").reshape(-1, 2),
        "location/micrograph_psize_A": np.array([e.pixel_size_angstrom for e in seen], "<f4"),
        "location/center_x_frac": fractions[:, 0].astype("<f4"),
        "location/center_y_frac": fractions[:, 1].astype("<f4"),
    }


def uid_of(name: str) -> int:
    """A number for a thing that has none, always the same for the same name."""
    return int.from_bytes(hashlib.sha1(name.encode(), usedforsecurity=False).digest()[:8], "little")


def uids_of(table: pd.DataFrame, names: Iterable[str]) -> AnyArray:
    """The numbers that rows had in cryoSPARC, or numbers made from their names."""
    own = table[UID].astype(str) if UID in table else [""] * len(table)
    found = [int(u) if str(u).isdecimal() else uid_of(name) for u, name in zip(own, names, strict=True)]
    return np.array(found, "<u8")


def particle_fields(
    particles: ParticleSet,
    box: AnyArray,
    paths: Mapping[str, str],
    exposures: Mapping[str, Exposure],
    fractions: DoubleArray | None,
) -> dict[str, AnyArray]:
    """The dataset of particles.

    Parameters
    ----------
    particles : ParticleSet
    box : (n,) int
        Edges of the images in pixels.
    paths : mapping
        What the dataset is to call each file of images.
    exposures : mapping
        Micrographs by RELION's names.
    fractions : (n, 2) float64 or None
        Where the particles are, as parts of their micrographs' widths and heights; None if that is not known.
    """
    table, n = particles.table, len(particles)
    split = [split_image_name(str(name)) for name in table["rlnImageName"]]
    pixels = particles.pixel_sizes()
    fields: dict[str, AnyArray] = {
        "uid": uids_of(table, map(str, table["rlnImageName"])),
        "blob/path": np.array([paths[file] for _, file in split], dtype=str),
        "blob/idx": np.array([index or 0 for index, _ in split], "<u4"),
        "blob/shape": np.stack([box, box], axis=1).astype("<u4"),
        "blob/psize_A": pixels.astype("<f4"),
        "blob/sign": np.ones(n, "<f4"),
        "blob/import_sig": np.zeros(n, "<u8"),
    }
    if particles.has_ctf():
        fields |= _ctf_fields(particles)
    if fractions is not None:
        fields |= location_fields([str(name) for name in table[MICROGRAPH]], fractions, exposures)
        if FOM in table:
            fields["pick_stats/ncc_score"] = table[FOM].to_numpy("<f4")
    return fields | _alignment_fields(table, pixels)


def _ctf_fields(particles: ParticleSet) -> dict[str, AnyArray]:
    n, rows = len(particles), ctf_rows(particles)
    u, v, angle, phase, voltage, cs, contrast, b_factor, scale = rows.T.astype("<f4")
    return {
        "ctf/type": np.full(n, "imported"),
        "ctf/exp_group_id": particles.table["rlnOpticsGroup"].to_numpy("<u4"),
        "ctf/accel_kv": voltage,
        "ctf/cs_mm": cs,
        "ctf/amp_contrast": contrast,
        "ctf/df1_A": u,
        "ctf/df2_A": v,
        "ctf/df_angle_rad": np.radians(angle).astype("<f4"),
        "ctf/phase_shift_rad": np.radians(phase).astype("<f4"),
        "ctf/scale": scale,
        "ctf/scale_const": np.zeros(n, "<f4"),
        "ctf/bfactor": b_factor,
        **{name: np.zeros((n, width), "<f4") for name, width in ABERRATIONS.items()},
    }


def _alignment_fields(table: pd.DataFrame, pixels: DoubleArray) -> dict[str, AnyArray]:
    """What is known of a 2D classification; nothing where there was none."""
    if PSI not in table or CLASS not in table:
        return {}
    origin = np.stack(
        [table.get(label, pd.Series(0.0, table.index)) for label in (ORIGIN_X, ORIGIN_Y)], axis=1
    )
    found = {
        "alignments2D/class": (table[CLASS].to_numpy(np.int64).clip(1) - 1).astype("<u4"),
        "alignments2D/pose": np.radians(table[PSI].to_numpy(np.float64)).astype("<f4"),
        "alignments2D/shift": (origin / pixels[:, None]).astype("<f4"),
        "alignments2D/psize_A": pixels.astype("<f4"),
    }
    if PROBABILITY in table:
        found["alignments2D/class_posterior"] = table[PROBABILITY].to_numpy("<f4")
    return found


def average_fields(path: str, count: int, box: int, pixel_size_angstrom: float) -> dict[str, AnyArray]:
    """The dataset of a stack of class averages."""
    return {
        "uid": np.array([uid_of(f"{i}@{path}") for i in range(count)], "<u8"),
        "blob/path": np.full(count, path),
        "blob/idx": np.arange(count, dtype="<u4"),
        "blob/shape": np.full((count, 2), box, "<u4"),
        "blob/psize_A": np.full(count, pixel_size_angstrom, "<f4"),
    }
