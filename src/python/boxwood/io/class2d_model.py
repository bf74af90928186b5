"""`run_itNNN_model.star` and `run_itNNN_classes.mrcs`: the references and spectra of a 2D classification.

Everything here is in RELION's units: Fourier transforms are divided by the number of pixels, spectra are half
the mean squared magnitude on a shell, and shell i lies at i / (box x pixel size).
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from boxwood.errors import FileFormatError
from boxwood.io.mrc import read_stack, split_image_name, write_stack
from boxwood.io.star import Table, read_star, write_star
from boxwood.io.star_format import Columns
from boxwood.typing import AnyArray

# What RELION writes where it has not estimated how accurately particles can be placed.
UNKNOWN_ACCURACY = 999.0
# Digits of the image number in "000001@stack.mrcs".
_DIGITS = {"3.1": 6, "5": 8}
NOISE_TABLE = {"3.1": "model_group_", "5": "model_optics_group_"}


@dataclass(frozen=True)
class SavedGroups:
    """Micrographs as a classification sees them.

    Attributes
    ----------
    names : (g,) str
    counts : (g,) int
        Particles in each.
    scale : (g,) float64
        Grey-scale factors.
    """

    names: AnyArray
    counts: AnyArray
    scale: AnyArray


@dataclass(frozen=True)
class SavedModel:
    """References and spectra of one iteration, in RELION's units.

    Attributes
    ----------
    averages : (k, box, box) float32
    shares, resolution_angstrom : (k,) float64
        The resolution may be infinite.
    accuracy_deg, accuracy_angstrom : (k,) float64
        The smallest rotation and shift of a particle that matter; UNKNOWN_ACCURACY if not known.
    ssnr, tau2, sigma2 : (k, shells) float64
        Signal-to-noise ratio, power of the prior, power of the noise of each average;
        ssnr = regularisation x tau2 / sigma2.
    noise : (n, shells) float64
        Noise of the images: one spectrum per micrograph (RELION 3) or per optics group.
    noise_of_groups : bool
        True if `noise` is per micrograph.
    groups : SavedGroups
    prior_offset_angstrom : (k, 2) float64
        Mean offset of each class, x and y, in proportion to its share.
    pixel_size_angstrom, regularisation, norm_average, sigma_offset_angstrom : float
    log_likelihood, largest_probability : float
        Sum over particles; mean over particles.
    image_size : int
        Edge of the part of the transforms that the next iteration uses; 0 in RELION's iteration 0.
    """

    averages: AnyArray
    shares: AnyArray
    resolution_angstrom: AnyArray
    accuracy_deg: AnyArray
    accuracy_angstrom: AnyArray
    ssnr: AnyArray
    tau2: AnyArray
    sigma2: AnyArray
    noise: AnyArray
    noise_of_groups: bool
    groups: SavedGroups
    prior_offset_angstrom: AnyArray
    pixel_size_angstrom: float
    regularisation: float
    norm_average: float
    sigma_offset_angstrom: float
    log_likelihood: float
    largest_probability: float
    image_size: int


def write_model(
    path: str | os.PathLike[str],
    averages: str | os.PathLike[str],
    model: SavedModel,
    *,
    iteration: int,
    dialect: str,
    more: Mapping[str, Table | Columns] | None = None,
) -> None:
    """Write `model` to the STAR file `path` and its images to the stack `averages`, which `path` names.

    `more` are further tables, put behind RELION's.
    """
    write_stack(averages, model.averages, model.pixel_size_angstrom)
    tables: dict[str, Table | Columns] = {
        "model_general": _general(model, iteration, dialect),
        "model_classes": _classes(model, Path(averages).as_posix(), iteration, dialect),
    }
    for k in range(len(model.shares)):
        tables[f"model_class_{k + 1}"] = _class_spectra(model, k, iteration)
    groups = model.groups
    tables["model_groups"] = pd.DataFrame(
        {
            "rlnGroupNumber": np.arange(1, len(groups.names) + 1),
            "rlnGroupName": groups.names,
            "rlnGroupNrParticles": groups.counts,
            "rlnGroupScaleCorrection": groups.scale,
        }
    )
    shells = _shells(model.averages.shape[1], model.pixel_size_angstrom)
    for i, noise in enumerate(model.noise, 1):
        tables[f"{NOISE_TABLE[dialect]}{i}"] = {
            "rlnSpectralIndex": shells["rlnSpectralIndex"],
            "rlnResolution": shells["rlnResolution"],
            "rlnSigma2Noise": noise,
        }
    write_star(path, {**tables, **(more or {})}, dialect=dialect)


def _general(model: SavedModel, iteration: int, dialect: str) -> dict[str, Any]:
    optics = {} if dialect == "3.1" else {"rlnNrOpticsGroups": len(model.noise)}
    best = float(model.resolution_angstrom.min()) if iteration else np.inf
    return {
        "rlnReferenceDimensionality": 2,
        "rlnDataDimensionality": 2,
        "rlnOriginalImageSize": model.averages.shape[1],
        "rlnCurrentResolution": best,
        "rlnCurrentImageSize": model.image_size if iteration else 0,
        "rlnPaddingFactor": 2.0,
        "rlnIsHelix": 0,
        "rlnFourierSpaceInterpolator": 1,
        "rlnMinRadiusNnInterpolation": 10,
        "rlnPixelSize": model.pixel_size_angstrom,
        "rlnNrClasses": len(model.shares),
        "rlnNrBodies": 1,
        "rlnNrGroups": len(model.groups.names),
        **optics,
        "rlnTau2FudgeFactor": model.regularisation,
        "rlnNormCorrectionAverage": model.norm_average,
        "rlnSigmaOffsetsAngst": model.sigma_offset_angstrom,
        "rlnOrientationalPriorMode": 0,
        "rlnSigmaPriorRotAngle": 0.0,
        "rlnSigmaPriorTiltAngle": 0.0,
        "rlnSigmaPriorPsiAngle": 0.0,
        "rlnLogLikelihood": model.log_likelihood,
        "rlnAveragePmax": model.largest_probability,
    }


def _classes(model: SavedModel, averages: str, iteration: int, dialect: str) -> pd.DataFrame:
    k = len(model.shares)
    resolved = np.isfinite(model.resolution_angstrom)
    return pd.DataFrame(
        {
            "rlnReferenceImage": [f"{i + 1:0{_DIGITS[dialect]}d}@{averages}" for i in range(k)],
            "rlnClassDistribution": model.shares,
            "rlnAccuracyRotations": model.accuracy_deg if iteration else np.zeros(k),
            "rlnAccuracyTranslationsAngst": model.accuracy_angstrom if iteration else np.zeros(k),
            "rlnEstimatedResolution": model.resolution_angstrom,
            # Up to its resolution every ring of a class has more signal than noise.
            "rlnOverallFourierCompleteness": resolved.astype(np.float64) * bool(iteration),
            "rlnClassPriorOffsetX": model.prior_offset_angstrom[:, 0],
            "rlnClassPriorOffsetY": model.prior_offset_angstrom[:, 1],
        }
    )


def _shells(box: int, pixel_size_angstrom: float) -> dict[str, AnyArray]:
    shell = np.arange(box // 2 + 1)
    resolution = shell / (box * pixel_size_angstrom)
    with np.errstate(divide="ignore"):
        angstrom = np.where(shell == 0, 999.0, 1 / resolution)
    return {"rlnSpectralIndex": shell, "rlnResolution": resolution, "rlnAngstromResolution": angstrom}


def _class_spectra(model: SavedModel, k: int, iteration: int) -> Columns:
    ssnr = model.ssnr[k]
    columns = {
        **_shells(model.averages.shape[1], model.pixel_size_angstrom),
        "rlnSsnrMap": ssnr,
        "rlnGoldStandardFsc": np.zeros_like(ssnr),
        "rlnFourierCompleteness": (ssnr >= 1).astype(np.float64) * bool(iteration),
        "rlnReferenceSigma2": model.sigma2[k],
        "rlnReferenceTau2": model.tau2[k],
    }
    if iteration:
        columns["rlnSpectralOrientabilityContribution"] = np.zeros_like(ssnr)
    return columns


def read_model(path: str | os.PathLike[str]) -> SavedModel:
    """Read a model and its images; classes that RELION could not resolve have an infinite resolution.

    Raises
    ------
    FileFormatError
        A table or a column is missing, or the stack of averages does not fit.
    """
    tables = read_star(path)
    try:
        return _assemble(Path(path), tables)
    except KeyError as error:
        raise FileFormatError(
            f"{path} has no {error.args[0]}; give the model.star of a 2D classification."
        ) from None


def _assemble(path: Path, tables: dict[str, Table]) -> SavedModel:
    general, classes, groups = tables["model_general"], tables["model_classes"], tables["model_groups"]
    spectra = [tables[f"model_class_{k + 1}"] for k in range(len(classes))]
    of_groups = f"{NOISE_TABLE['5']}1" not in tables
    prefix = NOISE_TABLE["3.1" if of_groups else "5"]
    noise = [tables[f"{prefix}{i}"] for i in _numbers(tables, prefix)]
    resolution = classes["rlnEstimatedResolution"].to_numpy(np.float64)
    return SavedModel(
        averages=_read_averages(path, classes["rlnReferenceImage"].tolist()),
        shares=classes["rlnClassDistribution"].to_numpy(np.float64),
        resolution_angstrom=np.where(resolution > 0, resolution, np.inf),
        accuracy_deg=classes["rlnAccuracyRotations"].to_numpy(np.float64),
        accuracy_angstrom=classes["rlnAccuracyTranslationsAngst"].to_numpy(np.float64),
        ssnr=_stack(spectra, "rlnSsnrMap"),
        tau2=_stack(spectra, "rlnReferenceTau2"),
        sigma2=_stack(spectra, "rlnReferenceSigma2"),
        noise=_stack(noise, "rlnSigma2Noise"),
        noise_of_groups=of_groups,
        groups=SavedGroups(
            groups["rlnGroupName"].to_numpy(object),
            groups["rlnGroupNrParticles"].to_numpy(np.int64),
            groups["rlnGroupScaleCorrection"].to_numpy(np.float64),
        ),
        prior_offset_angstrom=_prior_offset(classes),
        pixel_size_angstrom=float(general["rlnPixelSize"]),
        regularisation=float(general["rlnTau2FudgeFactor"]),
        norm_average=float(general["rlnNormCorrectionAverage"]),
        sigma_offset_angstrom=float(general["rlnSigmaOffsetsAngst"]),
        log_likelihood=float(general["rlnLogLikelihood"]),
        largest_probability=float(general["rlnAveragePmax"]),
        image_size=int(general["rlnCurrentImageSize"]),
    )


def _prior_offset(classes: pd.DataFrame) -> AnyArray:
    columns = ("rlnClassPriorOffsetX", "rlnClassPriorOffsetY")
    return np.stack([classes.get(name, pd.Series(0.0, classes.index)) for name in columns], axis=1).astype(
        np.float64
    )


def _numbers(tables: dict[str, Table], prefix: str) -> list[int]:
    """Numbers of the tables called prefix1, prefix2, ..."""
    found = [name[len(prefix) :] for name in tables if name.startswith(prefix)]
    return sorted(int(number) for number in found if number.isdigit())


def _stack(tables: list[Table], column: str) -> AnyArray:
    """(tables, rows) of one column; what RELION could not compute (nan) is 0."""
    return np.nan_to_num(np.stack([table[column].to_numpy(np.float64) for table in tables]), posinf=0.0)


def _read_averages(model: Path, names: list[str]) -> AnyArray:
    stack = read_stack(beside(model, split_image_name(names[0])[1]))
    indices = [split_image_name(name)[0] or 0 for name in names]
    if max(indices) >= len(stack):
        raise FileFormatError(f"{stack.path} holds {len(stack)} images, but {model} names {names[-1]}.")
    return stack[np.array(indices)]


def beside(file: Path, named: str) -> Path:
    """The file that `file` names: as it stands, or, if the folder was moved, beside `file`."""
    return Path(named) if Path(named).exists() else file.parent / Path(named).name
