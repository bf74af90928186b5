"""`run_itNNN_data.star`: where a 2D classification put every particle."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from boxwood.io.job_names import without_job
from boxwood.typing import AnyArray


@dataclass(frozen=True)
class SavedAssignments:
    """Per particle, in RELION's units and signs.

    Attributes
    ----------
    class_number : (n,) int
        From 1. Particles that were not used have 0, the number of no class, so that no selection takes them.
    psi_deg : (n,) float64
        rlnAnglePsi, -180 to 180.
    origin_angstrom : (n, 2) float64
        rlnOriginXAngst and rlnOriginYAngst.
    norm, log_likelihood, largest_probability : (n,) float64
    significant : (n,) int
        RELION counts the samples that carry 99.9 % of the probability; ours is exp(entropy), rounded.
    """

    class_number: AnyArray
    psi_deg: AnyArray
    origin_angstrom: AnyArray
    norm: AnyArray
    log_likelihood: AnyArray
    largest_probability: AnyArray
    significant: AnyArray


def sorted_by_micrograph(table: pd.DataFrame) -> pd.DataFrame:
    """The rows in the order RELION's classification keeps them: by micrograph, otherwise as they were."""
    if "rlnMicrographName" not in table:
        return table
    names = table["rlnMicrographName"].array
    if not (names[1:] < names[:-1]).any():  # as extraction leaves them: no copy of a million rows
        return table.reset_index(drop=True)
    return table.sort_values("rlnMicrographName", kind="stable", ignore_index=True)


def scale_groups(table: pd.DataFrame) -> tuple[AnyArray, AnyArray]:
    """Names of the groups with one grey scale, and each particle's group from 0.

    A group is what rlnGroupName says, or else a micrograph; job folders are not part of the name.
    """
    label = next((label for label in ("rlnGroupName", "rlnMicrographName") if label in table), None)
    if label is None:
        return np.array(["group"], dtype=object), np.zeros(len(table), dtype=np.int64)
    codes, names = pd.factorize(table[label].astype("str"))
    if label == "rlnMicrographName":
        same, names = pd.factorize(np.array([without_job(name) for name in names], dtype=object))
        codes = same[codes]
    return np.asarray(names, dtype=object), codes.astype(np.int64)


def assigned_table(
    table: pd.DataFrame, group: AnyArray, given: SavedAssignments, iteration: int
) -> pd.DataFrame:
    """The particles with RELION's columns filled in; all other columns and their order are kept."""
    n = len(table)
    columns = {
        "rlnGroupNumber": group + 1,
        "rlnAngleRot": np.zeros(n),
        "rlnAngleTilt": np.zeros(n),
        "rlnAnglePsi": given.psi_deg,
        "rlnOriginXAngst": given.origin_angstrom[:, 0],
        "rlnOriginYAngst": given.origin_angstrom[:, 1],
        "rlnClassNumber": given.class_number,
        "rlnNormCorrection": given.norm,
    }
    if iteration:
        columns["rlnLogLikeliContribution"] = given.log_likelihood
        columns["rlnMaxValueProbDistribution"] = given.largest_probability
        columns["rlnNrOfSignificantSamples"] = given.significant
    return table.assign(**columns)


def read_assignments(table: pd.DataFrame) -> SavedAssignments:
    """What `table` says of its particles; columns that are not there are zero, the norm is 1."""

    def column(name: str, missing: float = 0.0) -> AnyArray:
        if name not in table:
            return np.full(len(table), missing)
        return table[name].to_numpy(np.float64)

    return SavedAssignments(
        class_number=column("rlnClassNumber").astype(np.int32),
        psi_deg=column("rlnAnglePsi"),
        origin_angstrom=np.stack([column("rlnOriginXAngst"), column("rlnOriginYAngst")], axis=1),
        norm=column("rlnNormCorrection", 1.0),
        log_likelihood=column("rlnLogLikeliContribution"),
        largest_probability=column("rlnMaxValueProbDistribution"),
        significant=column("rlnNrOfSignificantSamples").astype(np.int64),
    )
